import { decodeState, encodeState } from '@kestrel/ground-station'
import { applyUpdate } from '@kestrel/models'
import { silentLog, VirtualClock } from '@kestrel/runtime'
import t from 'tap'
import { colourTeacher, worldSegment } from '../support/ground.js'
import {
  createSession,
  engine,
  engineWith,
  identical,
  Replica,
  SEGMENT,
  segments,
  shipped,
  student,
} from '../support/ground-session.js'

t.test('the student learns, and both sides stay bit-identical phase after phase', async t => {
  const { session } = createSession({ options: { codec: 'delta' } })
  const drone = new Replica()
  const losses: number[] = []
  let first = Number.NaN
  let last = 0
  for (let n = 0; n < 8; n++) {
    if (n < segments.length) {
      const { frames, phi } = await session.addSegment(segments[n])
      t.equal(frames, SEGMENT)
      t.ok(phi !== undefined && phi > 0.3 && phi <= 1)
    } else await session.addSegment(await worldSegment(n * SEGMENT, SEGMENT))
    const report = await session.runPhase()
    losses.push(report.loss)
    t.equal(report.heldOut, 2, 'the newest ⌈20 %⌉ of six')
    if (report.update !== undefined) {
      t.ok(report.holdOutAfter! >= report.holdOutBefore!)
      t.equal(report.update.baseVersion, drone.version)
      session.acknowledge(drone.apply(report.update))
      if (Number.isNaN(first)) first = report.holdOutBefore!
      last = report.holdOutAfter!
    }
    t.same(session.flown.digest, drone.digest, `phase ${report.phase}`)
    t.equal(session.flown.version, drone.version)
  }
  t.ok(losses.at(-1)! < 0.8 * losses[0], `loss ${losses[0]} → ${losses.at(-1)}`)
  t.ok(last > first + 0.3, `hold-out mIoU ${first} → ${last}`)
  t.ok(drone.version >= 4, `version ${drone.version}`)
})

t.test('a phase changes γ·P weights, an update what differs; the same seed gives the same bytes', async t => {
  const run = async (seed: number) => {
    const { session } = createSession({ options: { fraction: 0.05, holdOutFraction: 0, seed } })
    await session.addSegment(segments[0])
    return (await session.runPhase()).update!
  }
  const [first, again, other] = [await run(1), await run(1), await run(2)]
  t.ok(first.count > 0 && first.count <= Math.ceil(0.05 * student.parameterCount))
  t.ok(identical(first.bytes, again.bytes))
  t.notOk(identical(first.bytes, other.bytes))
})

t.test('what a refused update would have brought comes with the next', async t => {
  const { session } = createSession({ options: { holdOutFraction: 0 } })
  const drone = new Replica()
  await session.addSegment(segments[0])
  const refused = (await session.runPhase()).update!
  t.equal(
    session.acknowledge({ version: 1, applied: false, digest: drone.digest, reason: 'canary' }),
    undefined,
    'no retry of what was refused',
  )
  t.equal(session.flown.version, 0)
  await session.addSegment(segments[1])
  const next = (await session.runPhase()).update!
  t.equal(next.version, 2)
  t.equal(next.baseVersion, 0)
  const { indices } = applyUpdate(refused.bytes, { version: 0, parameters: shipped })
  const covered = new Set(applyUpdate(next.bytes, { version: 0, parameters: shipped }).indices)
  t.ok(indices.filter(index => covered.has(index)).length > 0.99 * indices.length)
  session.acknowledge(drone.apply(next))
  t.same(session.flown.digest, drone.digest)
})

t.test('never two updates under way; a lost one is sent again when a status shows it', async t => {
  const { session, clock } = createSession({ options: { holdOutFraction: 0 } })
  const drone = new Replica()
  await session.addSegment(segments[0])
  const lost = (await session.runPhase()).update!
  await session.addSegment(segments[1])
  const waiting = await session.runPhase()
  t.ok(waiting.trained)
  t.notOk(waiting.sent)
  t.match(waiting.reason, /not answered update 1/)
  t.equal(session.reconcile(drone.report()), undefined, 'it has only just been sent')
  await clock.advanceTo(10_000)
  const again = session.reconcile(drone.report())!
  t.ok(identical(again.bytes, lost.bytes))
  t.equal(session.reconcile(drone.report()), undefined)
  // The answer is lost this time; the drone's next status tells.
  drone.apply(again)
  t.equal(session.reconcile(drone.report()), undefined)
  t.equal(session.pending, undefined)
  t.same(session.flown.digest, drone.digest)
  await session.addSegment(segments[2])
  session.acknowledge(drone.apply((await session.runPhase()).update!))
  t.same(session.flown.digest, drone.digest)
})

t.test('without any answer an update is sent again, ever more rarely', async t => {
  const { session } = createSession({ options: { holdOutFraction: 0, iterations: 1 } })
  await session.addSegment(segments[0])
  await session.runPhase()
  const sent: boolean[] = []
  for (let i = 0; i < 9; i++) {
    await session.addSegment(segments[1])
    sent.push((await session.runPhase()).sent)
  }
  const numbers = sent.flatMap((isSent, i) => (isSent ? [i + 1] : []))
  t.same(numbers, [3, 9], 'after three phases, then after six')
})

t.test('after a restart from its saved state the session goes on as if nothing had been', async t => {
  // The buffer is not saved: a horizon as short as a segment makes it of no account.
  const options = { horizonS: SEGMENT - 1 }
  const flight = async (restart: boolean) => {
    let { session } = createSession({ options })
    const drone = new Replica()
    const log: unknown[] = []
    for (const [n, segment] of segments.entries()) {
      await session.addSegment(segment)
      const report = await session.runPhase()
      // Not r: its φ compares with the last frame before the restart, which is not saved either.
      log.push(report.loss, report.update?.version)
      if (report.update !== undefined) session.acknowledge(drone.apply(report.update))
      if (!restart || n !== 1) continue
      const state = decodeState(encodeState(session.state()), 'test')
      const before = session
      session = createSession({ state, options }).session
      t.equal(session.samplingFps, before.samplingFps)
      t.equal(session.updatePeriodS, before.updatePeriodS)
    }
    t.same(session.flown.digest, drone.digest)
    return { log, digest: drone.digest }
  }
  t.same(await flight(true), await flight(false))
})

t.test('an update that was under way is recognised after a restart', async t => {
  const { session: before } = createSession({ options: { holdOutFraction: 0 } })
  const drone = new Replica()
  await before.addSegment(segments[0])
  const update = (await before.runPhase()).update!
  const state = decodeState(encodeState(before.state()), 'test')
  drone.apply(update)
  const { session: after } = createSession({ state })
  t.equal(after.reconcile(drone.report()), undefined, 'the drone has it already')
  t.same(after.flown.digest, drone.digest)
  const { session: other, clock } = createSession({ state: decodeState(encodeState(before.state()), 'test') })
  await clock.advanceTo(5000)
  t.ok(identical(other.reconcile(new Replica().report())!.bytes, update.bytes), 'or gets it again')
})

t.test('a ground station that lost its state brings the drone home with a checkpoint', async t => {
  const drone = new Replica()
  drone.version = 12
  drone.parameters = shipped.map(value => value + 0.125)
  const { session } = createSession()
  const home = session.reconcile(drone.report())!
  t.equal(home.codec, 'checkpoint')
  t.ok(home.version > 12)
  session.acknowledge(drone.apply(home))
  t.same(session.flown.digest, drone.digest)
  await session.addSegment(segments[0])
  const report = await session.runPhase()
  t.equal(report.update?.codec, 'paper', 'and learning goes on from there')
  t.ok(report.update!.count < 0.31 * student.parameterCount, 'without all the weights that were only rounded')
  session.acknowledge(drone.apply(report.update!))
  t.same(session.flown.digest, drone.digest)
})

t.test('a drone that fell back gets what it lost, once a phase at most', async t => {
  const { session } = createSession({ options: { holdOutFraction: 0 } })
  const drone = new Replica()
  for (const segment of segments.slice(0, 2)) {
    await session.addSegment(segment)
    session.acknowledge(drone.apply((await session.runPhase()).update!))
  }
  const { digest } = drone
  const shippedReport = new Replica().report()
  const catchUp = session.reconcile(shippedReport)!
  t.equal(catchUp.codec, 'paper')
  const fallen = new Replica()
  session.acknowledge(fallen.apply(catchUp))
  t.same(fallen.digest, digest, 'exactly what it flew before')
  t.equal(session.reconcile(shippedReport), undefined, 'the second time it waits for the next phase')
  await session.addSegment(segments[2])
  const next = (await session.runPhase()).update!
  session.acknowledge(new Replica().apply(next))
  t.equal(session.flown.version, next.version)
})

t.test('rare classes weigh more in a phase, and all alike where the paper is asked for', async t => {
  const seen: (Float32Array | undefined)[] = []
  const watched = engineWith((batch, parameters) => {
    seen.push(batch.classWeights)
    return engine.lossAndGradient(batch, parameters)
  })
  for (const classBalance of [0, 0.5]) {
    const { session } = createSession({ engine: watched, options: { iterations: 1, classBalance } })
    await session.addSegment(segments[0])
    await session.runPhase()
  }
  const [paper, balanced] = seen
  t.ok(paper!.every(weight => weight === 1))
  t.equal(balanced!.length, student.classes.length)
  t.ok(new Set(balanced).size > 1, `${balanced}`)
})

t.test(
  'newer frames train more often by halfLifeS, in seconds; all alike where the paper is asked for',
  async t => {
    /** How often each image was in a batch of a phase on twelve seconds, and which of them are of the first six. */
    const drawn = async (halfLifeS: number) => {
      let counts = new Map<string, number>()
      const watched = engineWith(async (batch, parameters) => {
        const image = Buffer.from(batch.images).toString('latin1')
        counts.set(image, (counts.get(image) ?? 0) + 1)
        return { loss: 1, gradient: new Float32Array(parameters.length) }
      })
      const options = { halfLifeS, iterations: 200, batchSize: 1, holdOutFraction: 0 }
      const { session } = createSession({ engine: watched, options })
      await session.addSegment(segments[0])
      await session.runPhase()
      const first = new Set(counts.keys())
      counts = new Map()
      await session.addSegment(segments[1])
      await session.runPhase()
      const all = [...counts].sort(([, a], [, b]) => b - a)
      return { images: all.length, share: all[0][1] / 200, isNew: !first.has(all[0][0]) }
    }
    const paper = await drawn(0)
    t.equal(paper.images, 2 * SEGMENT)
    t.ok(paper.share < 0.2, `1/12, but ${paper.share}`)
    const halves = await drawn(1)
    t.ok(halves.isNew)
    t.ok(halves.share > 0.4 && halves.share < 0.6, `1/2, but ${halves.share}`)
  },
)

t.test('gradients that are no numbers change nothing', async t => {
  const broken = engineWith(async (batch, parameters) => {
    const { loss, gradient } = await engine.lossAndGradient(batch, parameters)
    gradient[5] = Number.NaN
    return { loss, gradient }
  })
  const { session } = createSession({ engine: broken })
  await session.addSegment(segments[0])
  const report = await session.runPhase()
  t.match(report, { trained: false, sent: false, reason: 'no iteration gave a finite gradient' })
  t.ok(identical(session.state().trained, shipped))
  t.ok(session.state().m.every(value => value === 0))
})

t.test('phases without enough frames, and one that is stopped', async t => {
  const { session } = createSession()
  t.match(await session.runPhase(), { trained: false, sent: false, reason: 'no new frames' })
  await session.addSegment(await worldSegment(0, 1))
  t.match(await session.runPhase(), { trained: false, reason: 'only 1 labelled frames so far' })
  await session.addSegment(segments[1])
  let asked = 0
  const report = await session.runPhase({ shouldStop: () => ++asked > 3 })
  t.match(report, {
    trained: true,
    iterations: 3,
    sent: false,
    reason: 'stopped before the phase was complete',
  })
})

t.test('segments and labels that cannot be used', async t => {
  const { session } = createSession()
  await t.rejects(session.addSegment({ ...segments[0], video: segments[0].video.subarray(0, 40) }), {
    name: 'MessageRefused',
  })
  await t.rejects(session.addSegment({ ...segments[0], codec: 0 }), { message: /video codec 0/ })
  const large = {
    ...colourTeacher(),
    atCameraSize: true,
    label: async () => ({ width: 40, height: 20, data: new Uint8Array(800) }),
  }
  const { session: other } = createSession({ teacher: large })
  await t.rejects(other.addSegment(segments[0]), {
    name: 'UserError',
    message: /The label of frame 0 is 40x20 but the frame is 64x32/,
  })
})

t.test('a state of another student is left aside', async t => {
  const { session: other } = createSession()
  const state = { ...other.state(), shippedDigest: '00'.repeat(32), flownVersion: 9 }
  const said: string[] = []
  const { session } = createSession({ state, log: { ...silentLog, warn: message => said.push(message) } })
  t.equal(session.flown.version, 0)
  t.match(said.join(), /belongs to another student file/)
})

t.test('K adapts to the time there is, says so, and does not where time stands still', async t => {
  const lines: string[] = []
  const log = { ...silentLog, info: (message: string) => lines.push(message) }
  const clock = new VirtualClock()
  let iterationMs = 1000
  // An engine on a machine of known speed.
  const slow = engineWith(async () => {
    await clock.advanceTo(clock.nowMs() + iterationMs)
    return { loss: 1, gradient: new Float32Array(student.parameterCount) }
  })
  const options = { iterations: 20, updatePeriodS: 10, holdOutFraction: 0, atr: { enabled: false } }
  const { session } = createSession({ engine: slow, clock, log, options })
  const phase = async (first: number) => {
    await session.addSegment(await worldSegment(first, 4))
    return session.runPhase()
  }
  t.equal((await phase(0)).iterations, 7, '70 % of 10 s, a second each')
  t.match(lines, [/An iteration takes 1.00 s here, so that 7 of 20 fit into T_update/])
  iterationMs = 60_000
  t.equal((await phase(4)).iterations, 1, 'one in any case')
  t.equal(lines.length, 1, 'said once')
  iterationMs = 100
  t.equal((await phase(8)).iterations, 20)
  t.match(lines[1], /All 20 iterations fit/)
  const { session: patient } = createSession({
    engine: slow,
    clock,
    options: { iterations: 12, fitPeriod: false, holdOutFraction: 0 },
  })
  iterationMs = 60_000
  await patient.addSegment(await worldSegment(0, 4))
  t.equal((await patient.runPhase()).iterations, 12, 'not where it is told to take its time')
})
