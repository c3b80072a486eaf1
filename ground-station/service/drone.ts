import type { Job, SegmentJob } from './learner.js'

/** Segments that wait for the learner; the oldest is dropped beyond. A segment is T_update of video, and they are trained on together. */
const MAX_SEGMENTS = 8

/** Reports and answers that wait; far more than a drone sends. */
const MAX_MESSAGES = 64

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
  /** Earliest start of the next phase, ms of the ground's clock. */
  phaseDueMs = Number.NEGATIVE_INFINITY
  /** Training takes longer than T_update, and that was said. */
  behind = false
  /** What it was last told to do. */
  control = ''
  /** Its status came, and fits. What comes before waits: after an outage, segments may overtake the status. */
  #accepted = false
  #messages: Job[] = []
  #segments: SegmentJob[] = []
  /** Message ids (hex) of the segments that wait or are worked on. */
  readonly #unfinished = new Set<string>()

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
  add(job: Job): SegmentJob | undefined {
    if (job.kind !== 'segment') {
      this.#messages = [...this.#messages, job].slice(-MAX_MESSAGES)
      return undefined
    }
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

  /**
   * The next job: first what the drone says it flies, then a phase if one is due, then its frames. Frames come last since
   * labelling can be slower than they arrive, and then there would never be a phase.
   */
  next(nowMs: number): Job | undefined {
    if (!this.#accepted) return undefined
    const message = this.#messages.shift()
    if (message !== undefined) return message
    if (this.newFrames > 0 && nowMs >= this.phaseDueMs) return { kind: 'phase', drone: this.name }
    return this.#segments.shift()
  }

  /** When `next` may have a job without anything arriving; undefined if never. */
  get wakeMs(): number | undefined {
    return this.#accepted && this.newFrames > 0 ? this.phaseDueMs : undefined
  }
}

/**
 * The next job of all drones, taking turns: a drone is asked again only when every other has been.
 *
 * @param turn index of the drone to ask first
 * @returns the job and whose turn it is afterwards
 */
export function nextJob(
  drones: Drone[],
  turn: number,
  nowMs: number,
): { job: Job; turn: number } | undefined {
  for (let i = 0; i < drones.length; i++) {
    const index = (turn + i) % drones.length
    const job = drones[index].next(nowMs)
    if (job !== undefined) return { job, turn: (index + 1) % drones.length }
  }
  return undefined
}

function hex(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}
