import type { Job, JobResult } from '../service/learner.js'
import { Drone } from './drone.js'
import type { FleetOptions } from './options.js'
import { sharePeriods } from './periods.js'

/** Each has a session with its own memory; names come from outside, so there must be a bound. */
const MAX_DRONES = 32

/** A drone is told another T_update where it differs by more than this share: costs are never twice the same. */
const TOLD_ANEW = 0.1

/**
 * Shares one learner among drones. Where the time does not suffice, the drones' T_update is stretched, and with it their sampling,
 * so that nothing queues up: what has to wait waits on the drone as fewer, longer segments. Plain logic: time is told by the caller.
 */
export class Scheduler {
  readonly #options: FleetOptions
  readonly #drones = new Map<string, Drone>()
  #turn = 0

  constructor(options: FleetOptions) {
    this.#options = options
  }

  get drones(): Drone[] {
    return [...this.#drones.values()]
  }

  find(name: string): Drone | undefined {
    return this.#drones.get(name)
  }

  /** @returns undefined where there are as many as one ground station teaches */
  open(name: string): Drone | undefined {
    const known = this.#drones.get(name)
    if (known !== undefined || this.#drones.size >= MAX_DRONES) return known
    const drone = new Drone(name)
    this.#drones.set(name, drone)
    return drone
  }

  /** It is taught elsewhere from now on: what waits of it is dropped. */
  close(name: string): void {
    this.#drones.delete(name)
  }

  /**
   * The next job. The drones take turns: one is asked again only when every other has been. Where none has anything that is due,
   * the time goes to a phase ahead of its turn, of the drone that it brings most.
   */
  next(nowMs: number): Job | undefined {
    const { drones } = this
    for (let i = 0; i < drones.length; i++) {
      const index = (this.#turn + i) % drones.length
      const job = drones[index].next(nowMs)
      if (job === undefined) continue
      this.#turn = (index + 1) % drones.length
      return job
    }
    return drones
      .filter(drone => drone.couldTrain(nowMs))
      .toSorted((a, b) => promise(b, nowMs) - promise(a, nowMs))[0]
      ?.phase()
  }

  /** When `next` may have a job without anything arriving, ms; Infinity if never. */
  get wakeMs(): number {
    return Math.min(...this.drones.map(({ wakeMs }) => wakeMs ?? Number.POSITIVE_INFINITY))
  }

  /** Takes what came of a job. */
  finish(job: Job, result: JobResult, { startMs, endMs }: { startMs: number; endMs: number }): void {
    const drone = this.#drones.get(job.drone)!
    const { lesson } = drone
    const tookS = (endMs - startMs) / 1000
    drone.newFrames = result.newFrames
    drone.rejectDigest = result.rejectDigest
    lesson.want(result)
    if (job.kind === 'segment') lesson.labelled(result.frames ?? 0, tookS)
    if (job.kind === 'phase') {
      const { trained, holdOutBefore, holdOutAfter } = result.phase ?? {}
      const gain =
        holdOutBefore === undefined || holdOutAfter === undefined ? undefined : holdOutAfter - holdOutBefore
      const elapsedS = Number.isFinite(drone.phaseMs) ? (startMs - drone.phaseMs) / 1000 : lesson.ownPeriodS
      if (trained) lesson.trained(tookS, gain, elapsedS)
      drone.phaseMs = startMs
    }
    this.#share(endMs)
  }

  /** Takes that a job came to nothing. */
  fail(job: Job): void {
    const drone = this.#drones.get(job.drone)
    if (job.kind === 'phase' && drone !== undefined) drone.newFrames = 0
  }

  /** Shares the time among those who need it now. */
  #share(nowMs: number): void {
    const taught = this.drones.filter(drone => drone.isTaught(nowMs) && drone.lesson.ownPeriodS > 0)
    for (const { lesson } of this.drones) if (lesson.costS === undefined) lesson.periodS = lesson.ownPeriodS
    const costs = taught.flatMap(({ lesson }) => lesson.costS ?? [])
    if (costs.length === 0) return
    const usual = costs.reduce((sum, cost) => sum + cost, 0) / costs.length
    const needs = taught.map(({ lesson }) => lesson.need(this.#options.policy, usual))
    sharePeriods(needs, this.#options).forEach((periodS, i) => {
      const { lesson } = taught[i]
      const change = Math.abs(periodS - lesson.periodS) / lesson.periodS
      if (change > TOLD_ANEW || periodS === lesson.ownPeriodS) lesson.periodS = periodS
    })
  }
}

/** mIoU per second of training that a phase promises. */
function promise({ lesson, phaseMs }: Drone, nowMs: number): number {
  const waitedS = Math.min(3600, (nowMs - phaseMs) / 1000)
  return (lesson.gainPerS * waitedS) / (lesson.costS ?? 1)
}
