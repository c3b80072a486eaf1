import type { Job, SegmentJob } from '../service/learner.js'
import { Lesson } from './lesson.js'

/** Segments that wait for the learner; the oldest is dropped beyond. A segment is T_update of video, and they are trained on together. */
const MAX_SEGMENTS = 8

/** Reports and answers that wait; far more than a drone sends. */
const MAX_MESSAGES = 64

/** A drone that has sent no frames for so many of its periods, and as long as this, takes no time of the others, ms. */
const QUIET_PERIODS = 3
const QUIET_MS = 60_000

/** One drone as the main thread knows it: what waits for the learner, and when its next phase is due. */
export class Drone {
  readonly name: string
  /** Why it cannot be taught here, in a sentence. */
  refusal: string | undefined
  online = false
  /** What it flew last as far as it said. */
  modelVersion: number | undefined
  /** Segments that were dropped because the learner was busy, and those that it could not use. */
  segmentsDropped = 0
  segmentsRefused = 0
  /** Labelled frames that no phase has seen. */
  newFrames = 0
  /** Beginning of its last phase, ms of the ground's clock. */
  phaseMs = Number.NEGATIVE_INFINITY
  readonly lesson = new Lesson()
  /** Its T_update is stretched, and that was said. */
  stretched = false
  /** What it was last told to do. */
  control = ''
  /** SHA-256 of weights that it must not fly; told with everything else. */
  rejectDigest: Uint8Array | undefined
  /** Its status came, and fits. What comes before waits: after an outage, segments may overtake the status. */
  #accepted = false
  #messages: Job[] = []
  #segments: SegmentJob[] = []
  /** Message ids (hex) of the segments that wait or are worked on. */
  readonly #unfinished = new Set<string>()
  #segmentMs = Number.NEGATIVE_INFINITY

  constructor(name: string) {
    this.name = name
  }

  accept(): void {
    this.#accepted = true
    this.refusal = undefined
  }

  /** It flies something else than what is taught here: nothing of what it sent can be used. */
  refuse(why: string): void {
    this.#accepted = false
    this.refusal = why
    this.#messages = []
    this.#segments = []
    this.#unfinished.clear()
    this.newFrames = 0
  }

  /** @returns an older segment that had to go */
  add(job: Job, nowMs: number): SegmentJob | undefined {
    if (job.kind !== 'segment') {
      this.#messages = [...this.#messages, job].slice(-MAX_MESSAGES)
      return undefined
    }
    this.#segmentMs = nowMs
    this.#unfinished.add(hex(job.id))
    this.#segments.push(job)
    if (this.#segments.length <= MAX_SEGMENTS) return undefined
    const dropped = this.#segments.shift()!
    this.segmentsDropped++
    this.finish(dropped.id)
    return dropped
  }

  /** A segment has been labelled, or let go. */
  finish(id: Uint8Array): void {
    this.#unfinished.delete(hex(id))
  }

  /** Whether a segment of this message id waits or is worked on. */
  isUnfinished(id: Uint8Array): boolean {
    return this.#unfinished.has(hex(id))
  }

  /** Segments that wait. */
  get waiting(): number {
    return this.#segments.length
  }

  /** Whether it takes time of the learner: it is here, and frames of it came of late. */
  isTaught(nowMs: number): boolean {
    const quietMs = Math.max(QUIET_MS, QUIET_PERIODS * 1000 * this.lesson.periodS)
    return this.#accepted && this.online && nowMs - this.#segmentMs <= quietMs
  }

  /**
   * The next job: first what the drone says it flies, then a phase if one is due, then its frames. Frames come last since
   * labelling can be slower than they arrive, and then there would never be a phase.
   */
  next(nowMs: number): Job | undefined {
    if (!this.#accepted) return undefined
    const message = this.#messages.shift()
    if (message !== undefined) return message
    if (this.#hasPhaseAt(nowMs, this.lesson.periodS)) return this.phase()
    return this.#segments.shift()
  }

  /** Whether a phase could begin where nobody else needs the time: its own T_update is over, and frames are there. */
  couldTrain(nowMs: number): boolean {
    return this.#accepted && this.#hasPhaseAt(nowMs, this.lesson.ownPeriodS)
  }

  phase(): Job {
    return { kind: 'phase', drone: this.name }
  }

  /** When it may have a job without anything arriving; undefined if never. */
  get wakeMs(): number | undefined {
    return this.#accepted && this.newFrames > 0 ? this.phaseMs + 1000 * this.lesson.ownPeriodS : undefined
  }

  #hasPhaseAt(nowMs: number, periodS: number): boolean {
    return this.newFrames > 0 && nowMs >= this.phaseMs + 1000 * periodS
  }
}

function hex(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}
