import {
  type Drone,
  type FleetOptions,
  fleetOptionsSchema,
  type Job,
  type JobResult,
  Scheduler,
} from '@kestrel/ground-station'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

/** A drone of the test: what its steps cost, what its session wants, and how long its scene gives something to learn. */
interface Kind {
  labelS: number
  phaseS: number
  samplingFps: number
  ownPeriodS: number
  gain: number
}

interface Log {
  /** Starts of phases, s, by drone. */
  phases: number[][]
  /** Most segments that waited, by drone, after the first minutes. */
  waiting: number[]
  dropped: number
  busyS: number
  idleWithWork: number
}

const kind = fc.record({
  labelS: fc.double({ min: 0.01, max: 0.5, noNaN: true }),
  phaseS: fc.double({ min: 0.2, max: 9, noNaN: true }),
  samplingFps: fc.double({ min: 0.1, max: 1, noNaN: true }),
  ownPeriodS: fc.constantFrom(5, 10, 20, 60),
  gain: fc.double({ min: -0.02, max: 0.1, noNaN: true }),
})
const kinds = fc.array(kind, { minLength: 1, maxLength: 8 })
const fleet = fc.constantFrom('round-robin' as const, 'gain-aware' as const)

t.setTimeout(200_000)

const SETTLE_S = 400
const FLY_S = 1000

/** Flies drones that do what they are told, second by second. */
function fly(all: Kind[], options: FleetOptions, seed = 1): Log {
  const rng = createRng(seed)
  const scheduler = new Scheduler(options)
  const names = all.map((_, i) => `d${i}`)
  const drones = names.map(name => scheduler.open(name) as Drone)
  for (const drone of drones) {
    drone.accept()
    drone.online = true
  }
  const frames = new Map<Job, number>()
  const fresh = all.map(() => 0)
  const sent = all.map(({ ownPeriodS }) => ({ atS: rng.float() * ownPeriodS, frames: 0 }))
  const log: Log = {
    phases: all.map(() => []),
    waiting: all.map(() => 0),
    dropped: 0,
    busyS: 0,
    idleWithWork: 0,
  }
  let running: { job: Job; startMs: number; endMs: number } | undefined
  const droppedBy = () => drones.reduce((sum, { segmentsDropped }) => sum + segmentsDropped, 0)
  let droppedEarly = 0
  const step = 0.5
  for (let nowS = 0; nowS < FLY_S; nowS += step) {
    const nowMs = 1000 * nowS
    drones.forEach((drone, i) => {
      const { lesson } = drone
      const told = lesson.ownPeriodS > 0
      sent[i].frames += step * (told ? lesson.toldFps : all[i].samplingFps)
      if (nowS < sent[i].atS + (told ? lesson.periodS : all[i].ownPeriodS)) return
      const job: Job = {
        kind: 'segment',
        drone: drone.name,
        message: new Uint8Array(0),
        id: new Uint8Array(0),
      }
      frames.set(job, sent[i].frames)
      drone.add(job, nowMs)
      sent[i] = { atS: nowS, frames: 0 }
    })
    // The learner works on between two steps.
    for (let atMs = running?.endMs ?? nowMs; ; ) {
      if (running !== undefined) {
        if (running.endMs > nowMs) break
        const { job } = running
        const i = names.indexOf(job.drone)
        const { samplingFps, ownPeriodS: updatePeriodS, gain } = all[i]
        const common = { samplingFps, updatePeriodS }
        let result: JobResult
        if (job.kind === 'segment') {
          const count = frames.get(job)!
          fresh[i] += count
          result = { ...common, newFrames: fresh[i], frames: count }
        } else {
          fresh[i] = 0
          const phase = { trained: true, holdOutBefore: 0.5, holdOutAfter: 0.5 + gain } as JobResult['phase']
          result = { ...common, newFrames: 0, phase }
          log.phases[i].push(running.startMs / 1000)
        }
        scheduler.finish(job, result, running)
        log.busyS += (running.endMs - running.startMs) / 1000
        atMs = running.endMs
        running = undefined
      }
      const job = scheduler.next(atMs)
      if (job === undefined) {
        const idle = drones.some(drone => drone.waiting > 0 || drone.couldTrain(atMs))
        if (idle) log.idleWithWork++
        break
      }
      const { labelS, phaseS } = all[names.indexOf(job.drone)]
      const tookS = job.kind === 'segment' ? labelS * frames.get(job)! : phaseS
      running = { job, startMs: atMs, endMs: atMs + 1000 * tookS }
    }
    if (nowS < SETTLE_S) droppedEarly = droppedBy()
    else log.waiting = drones.map(({ waiting }, i) => Math.max(log.waiting[i], waiting))
  }
  log.dropped = droppedBy() - droppedEarly
  return log
}

t.test('no drone starves, nothing queues up, and no time is wasted, whatever the fleet', async t => {
  fc.assert(
    fc.property(kinds, fleet, fc.nat(1000), (all, policy, seed) => {
      const options = fleetOptionsSchema.parse({ policy })
      const log = fly(all, options, seed)
      if (log.idleWithWork > 0) throw new Error(`${log.idleWithWork} times idle beside work`)
      // What one round of all would take, and what planning leaves to spare.
      const roundS = all.reduce(
        (sum, each) => sum + each.phaseS + each.labelS * each.samplingFps * each.ownPeriodS,
        0,
      )
      // A calm drone's long segment is labelled in one go: meanwhile a few short ones of another may come.
      const most = all.map(({ ownPeriodS }) => 2 + Math.ceil(roundS / ownPeriodS))
      if (log.dropped > 0 && Math.max(...most) <= 8)
        throw new Error(`${log.dropped} segments dropped after it had settled`)
      all.forEach(({ ownPeriodS }, i) => {
        if (log.waiting[i] > most[i])
          throw new Error(`${log.waiting[i]} segments of drone ${i} waited, at most ${most[i]}`)
        const gaps = log.phases[i].slice(1).map((at, k) => at - log.phases[i][k])
        const longest = Math.max(...gaps, FLY_S - (log.phases[i].at(-1) ?? 0))
        // A segment of that length has to be there first, and others may be at work then.
        const bound = 2 * options.patience * Math.max(ownPeriodS, roundS / options.load) + 2 * roundS + 10
        if (longest > bound) throw new Error(`drone ${i} waited ${longest} s, at most ${bound} s`)
      })
    }),
    { numRuns: 25 },
  )
  t.pass()
})

t.test('where time is short it goes where it brings more, and a lone drone has what it wants', async t => {
  const changing = { labelS: 0.1, phaseS: 4, samplingFps: 1, ownPeriodS: 10, gain: 0.04 }
  const learned = { ...changing, gain: 0 }
  const count = (log: Log, i: number) => log.phases[i].length
  const all = [changing, learned, learned, learned]
  const gainAware = fly(all, fleetOptionsSchema.parse({ policy: 'gain-aware' }))
  const roundRobin = fly(all, fleetOptionsSchema.parse({ policy: 'round-robin' }))
  t.ok(
    count(gainAware, 0) > 1.5 * count(roundRobin, 0),
    `${count(gainAware, 0)} phases, round-robin ${count(roundRobin, 0)}`,
  )
  for (const i of [1, 2, 3]) {
    t.ok(
      count(gainAware, i) * 3 * 1.3 >= count(roundRobin, i),
      `${count(gainAware, i)} phases for one that has learned, round-robin ${count(roundRobin, i)}`,
    )
  }
  const even = [1, 2, 3].map(i => count(roundRobin, i))
  t.ok(Math.max(...even) - Math.min(...even) <= 2, `round-robin treats all alike: ${even}`)
  const alone = fly([changing], fleetOptionsSchema.parse({}))
  t.ok(count(alone, 0) >= FLY_S / 10 - 5, `${count(alone, 0)} phases alone`)
})

t.test('what a calm scene does not need goes to the others', async t => {
  const changing = { labelS: 0.1, phaseS: 4, samplingFps: 1, ownPeriodS: 10, gain: 0.02 }
  const calm = { ...changing, samplingFps: 0.1, ownPeriodS: 60, gain: 0.001 }
  const options = fleetOptionsSchema.parse({ policy: 'round-robin' })
  const among = (others: Kind) => fly([changing, others, others, others], options).phases[0].length
  t.ok(
    among(calm) > 1.5 * among(changing),
    `${among(calm)} phases among calm ones, ${among(changing)} among its like`,
  )
})

t.test('a drone that is gone or silent takes no time of the others', async t => {
  const scheduler = new Scheduler(fleetOptionsSchema.parse({ policy: 'round-robin' }))
  const [a, b] = ['a', 'b'].map(name => scheduler.open(name)!)
  const teach = (name: string, nowMs: number) => {
    const result = { samplingFps: 1, updatePeriodS: 10, newFrames: 5, frames: 10 }
    const segment: Job = { kind: 'segment', drone: name, message: new Uint8Array(0), id: new Uint8Array(0) }
    scheduler.find(name)!.add(segment, nowMs)
    t.same(scheduler.next(nowMs), segment)
    scheduler.finish(segment, result, { startMs: nowMs, endMs: nowMs + 1000 })
    const phase = { trained: true } as JobResult['phase']
    const job: Job = { kind: 'phase', drone: name }
    scheduler.finish(job, { ...result, newFrames: 0, phase }, { startMs: nowMs + 1000, endMs: nowMs + 8000 })
  }
  for (const drone of [a, b]) {
    drone.accept()
    drone.online = true
  }
  teach('a', 0)
  t.equal(a.lesson.periodS, 10, 'alone it fits')
  teach('b', 8000)
  t.ok(a.lesson.periodS > 16 && b.lesson.periodS > 16, `two do not: ${a.lesson.periodS} s`)
  t.ok(Math.abs(a.lesson.toldFps * a.lesson.periodS - 10) < 1e-9, 'as many frames a period as before')
  b.online = false
  teach('a', 20_000)
  t.equal(a.lesson.periodS, 10, 'alone again')
  b.online = true
  teach('b', 40_000)
  t.ok(a.lesson.periodS > 16)
  teach('b', 200_000)
  t.equal(b.lesson.periodS, 10, 'a has been silent for minutes')
})

t.test('names come from outside: there is a bound', async t => {
  const scheduler = new Scheduler(fleetOptionsSchema.parse({}))
  for (let i = 0; i < 32; i++) t.ok(scheduler.open(`d${i}`))
  t.equal(scheduler.open('one-more'), undefined)
  t.ok(scheduler.open('d7'))
})
