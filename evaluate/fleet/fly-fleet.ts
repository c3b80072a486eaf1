import { type FleetOptions, type Job, Scheduler } from '@kestrel/ground-station'
import { VirtualClock } from '@kestrel/runtime'
import type { SchemeContext } from '../schemes/context.js'
import { type DroneResult, FleetDrone } from './fleet-drone.js'
import type { RouteFrame } from './route.js'
import type { StepCosts } from './step-costs.js'

/** What all drones of a fleet have in common. */
export type FleetContext = Omit<
  SchemeContext,
  'teacher' | 'delayS' | 'durationS' | 'size' | 'camera' | 'clock'
>

/** Flights do not begin at the same moment, s. */
const APART_S = 3

export interface FleetResult {
  drones: DroneResult[]
  /** Share of the time in which the ground was busy. */
  load: number
  segmentsDropped: number
  /** T_update at the end of the flight, s, by drone. */
  periodsS: number[]
}

/**
 * Flies drones on one virtual clock: they, their sessions and the scheduler are those that fly, training is real, and each step of
 * the ground keeps it busy for as long as it takes on the machine whose costs are given.
 *
 * @param options.flights the frames of each drone, one a second
 */
export async function flyFleet(options: {
  flights: { name: string; frames: RouteFrame[] }[]
  fleet: FleetOptions
  costs: StepCosts
  context: FleetContext
}): Promise<FleetResult> {
  const { flights, fleet, costs, context } = options
  const { iterations, updatePeriodS } = context.settings
  const clock = new VirtualClock(0)
  const scheduler = new Scheduler(fleet)
  const drones = new Map<string, FleetDrone>()
  for (const [i, { name, frames }] of flights.entries()) {
    const startMs = 1000 * ((APART_S * i) % updatePeriodS)
    drones.set(name, await FleetDrone.create({ name, frames, startMs, context: { ...context, clock } }))
    const known = scheduler.open(name)!
    known.accept()
    known.online = true
  }
  const costMs = (job: Job) => {
    const drone = drones.get(job.drone)!
    if (job.kind === 'segment') return 1000 * costs.labelS * drone.framesIn(job)
    return 1000 * (iterations * costs.iterationS + costs.restS)
  }
  const endMs = 1000 * (updatePeriodS + Math.max(...flights.map(({ frames }) => frames.length)))
  let running: { job: Job; startMs: number; endMs: number } | undefined
  let frameMs = 0
  let busyMs = 0
  try {
    while (frameMs < endMs) {
      const nowMs = clock.nowMs()
      if (running === undefined) {
        const job = scheduler.next(nowMs)
        if (job !== undefined) running = { job, startMs: nowMs, endMs: nowMs + costMs(job) }
      }
      const wakeMs = running?.endMs ?? Math.max(scheduler.wakeMs, nowMs)
      await clock.advanceTo(Math.min(frameMs, wakeMs))
      if (running !== undefined && clock.nowMs() >= running.endMs) {
        const { job } = running
        // The learner was busy with it until now: nothing came between that could change its outcome.
        const result = await drones.get(job.drone)!.run(job)
        scheduler.finish(job, result, running)
        busyMs += running.endMs - running.startMs
        running = undefined
        for (const [name, drone] of drones) await drone.tell(scheduler.find(name)!)
      } else if (clock.nowMs() >= frameMs) {
        for (const [name, drone] of drones) {
          const segment = await drone.onFrame(frameMs)
          if (segment !== undefined) scheduler.find(name)!.add(segment, frameMs)
        }
        frameMs += 1000
      }
    }
    return {
      drones: [...drones.values()].map(drone => drone.result()),
      load: busyMs / endMs,
      segmentsDropped: scheduler.drones.reduce((sum, { segmentsDropped }) => sum + segmentsDropped, 0),
      periodsS: scheduler.drones.map(({ lesson }) => lesson.periodS),
    }
  } finally {
    for (const drone of drones.values()) await drone.dispose()
  }
}
