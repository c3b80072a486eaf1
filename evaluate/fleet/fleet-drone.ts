import { type Drone, GroundSession, type Job, type JobResult, type Teacher } from '@kestrel/ground-station'
import type { Segment } from '@kestrel/link'
import { Scorer } from '../metric/scorer.js'
import type { SchemeContext } from '../schemes/context.js'
import { Flight } from '../schemes/flight.js'
import { FlyingStudent } from '../schemes/flying-student.js'
import { sessionSettings } from '../settings.js'
import type { RouteFrame } from './route.js'

/** What became of one drone of a fleet. */
export interface DroneResult {
  /** Mean over all frames of the mIoU of the trailing window, 0..1. */
  miou: number
  updates: number
  phases: number
  sampledFrames: number
}

/** One drone of a fleet and its session on the ground, on the clock of the fleet. */
export class FleetDrone {
  readonly name: string
  readonly #uplinkKbps: number
  readonly #frames: RouteFrame[]
  readonly #startMs: number
  readonly #flying: FlyingStudent
  readonly #session: GroundSession
  readonly #flight: Flight
  readonly #scorer: Scorer
  readonly #segments = new WeakMap<Job, Segment>()
  #periodEndMs: number
  #periodS: number
  #phases = 0

  private constructor(init: {
    name: string
    context: SchemeContext
    frames: RouteFrame[]
    startMs: number
    flying: FlyingStudent
    session: GroundSession
  }) {
    const { name, context, frames, startMs, flying, session } = init
    const { settings, student } = context
    this.name = name
    this.#uplinkKbps = settings.link.uplinkKbps
    this.#frames = frames
    this.#startMs = startMs
    this.#flying = flying
    this.#session = session
    this.#periodS = settings.updatePeriodS
    this.#periodEndMs = startMs + 1000 * this.#periodS
    this.#flight = new Flight({
      context,
      flying,
      session,
      samplingFps: settings.asr.fps,
      periodS: this.#periodS,
    })
    this.#scorer = new Scorer(student.classes.length, { durationS: frames.length })
  }

  /** @param options.startMs when its flight begins, of the fleet's clock */
  static async create(options: {
    name: string
    context: Omit<SchemeContext, 'teacher' | 'delayS' | 'durationS' | 'size' | 'camera'>
    frames: RouteFrame[]
    startMs: number
    /** Who labels; the frames' own labels where not given. */
    teacher?: Teacher
  }): Promise<FleetDrone> {
    const { name, frames, startMs, teacher = exactLabels(frames, options.context.student.classes) } = options
    const { width, height } = frames[0].image
    const size = { width, height }
    const { student, threads, clock, settings, seed, log } = options.context
    const context: SchemeContext = {
      ...options.context,
      size,
      camera: { ...size, fps: 1 },
      durationS: frames.length,
      teacher,
      delayS: 0,
    }
    const flying = await FlyingStudent.create(student, { size, threads })
    const session = new GroundSession({
      student,
      engine: await context.engine(),
      teacher,
      clock,
      options: { ...sessionSettings(settings, seed), seed: `${seed}/${name}` },
      threads,
      log: log.child(name),
    })
    return new FleetDrone({ name, context, frames, startMs, flying, session })
  }

  /**
   * The frame of this moment, if its flight has one: what has arrived is applied, the student labels it, and the sampler may take it.
   *
   * @returns a segment for the ground, where one ends
   */
  async onFrame(nowMs: number): Promise<Job | undefined> {
    const index = Math.round((nowMs - this.#startMs) / 1000)
    if (index < 0 || index >= this.#frames.length) return undefined
    const { image, labels } = this.#frames[index]
    const job = nowMs >= this.#periodEndMs - 1e-3 ? await this.#endSegment(nowMs) : undefined
    await this.#flight.receive()
    const frame = { id: index, sourceIndex: index, captureMs: nowMs, image }
    const shown = await this.#flying.label(frame)
    this.#scorer.add(index, labels.data, shown.data)
    this.#flight.offer(frame)
    return job
  }

  /** Frames in a segment that waits: labelling costs by the frame. */
  framesIn(job: Job): number {
    return this.#segments.get(job)?.frames.length ?? 0
  }

  /** What the ground does for it. */
  async run(job: Job): Promise<JobResult> {
    const segment = this.#segments.get(job)
    const session = this.#session
    if (segment !== undefined) {
      const { frames } = await session.addSegment(segment)
      return { ...rates(session), frames }
    }
    const phase = await this.#flight.runPhase()
    if (phase.trained) this.#phases++
    return { ...rates(session), phase }
  }

  /** Tells it what the scheduler has made of its rates. */
  async tell({ lesson }: Drone): Promise<void> {
    if (lesson.ownPeriodS === 0) return
    this.#periodS = lesson.periodS
    await this.#flight.control(lesson.toldFps, lesson.periodS, this.#uplinkKbps)
  }

  result(): DroneResult {
    const { miouWindow = 0 } = this.#scorer.score()
    const { applied: updates, sampledFrames } = this.#flight
    return { miou: miouWindow, updates, phases: this.#phases, sampledFrames }
  }

  async dispose(): Promise<void> {
    this.#flight.dispose()
    await this.#flying.dispose()
  }

  async #endSegment(nowMs: number): Promise<Job | undefined> {
    this.#periodEndMs = nowMs + 1000 * this.#periodS
    const segment = await this.#flight.sendSegment(nowMs)
    if (segment === undefined) return undefined
    const job: Job = { kind: 'segment', drone: this.name, message: new Uint8Array(0), id: new Uint8Array(0) }
    this.#segments.set(job, segment)
    return job
  }
}

function exactLabels(frames: RouteFrame[], classes: string[]): Teacher {
  return {
    classes,
    atCameraSize: true,
    label: async (_, { sourceIndex }) => frames[sourceIndex].labels,
    release: async () => {},
  }
}

function rates({ newFrames, samplingFps, updatePeriodS }: GroundSession) {
  return { newFrames, samplingFps, updatePeriodS }
}
