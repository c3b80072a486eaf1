import {
  decodeState,
  encodeState,
  type OutgoingUpdate,
  type PartialSessionOptions,
  type SessionInit,
} from '@kestrel/ground-station'
import { silentLog } from '@kestrel/runtime'
import t from 'tap'
import {
  createSession,
  engine,
  engineWith,
  identical,
  Replica,
  SEGMENT,
  segments,
} from '../support/ground-session.js'

/** A drone that flies what all segments taught. */
async function taughtDrone(): Promise<Replica> {
  const drone = new Replica()
  const { session } = createSession()
  for (const segment of segments) {
    await session.addSegment(segment)
    const { update } = await session.runPhase()
    if (update !== undefined) session.acknowledge(drone.apply(update))
  }
  return drone
}

/** An engine that makes the student worse, while `ruins` says so. */
const ruin = (ruins = () => true) =>
  engineWith(async (batch, parameters) => {
    const { loss, gradient } = await engine.lossAndGradient(batch, parameters)
    return { loss, gradient: ruins() ? gradient.map(g => -1000 * g) : gradient }
  })

t.test(
  'the gate keeps weights that are worse on the ground, and training that went astray starts again',
  async t => {
    const drone = await taughtDrone()
    const { session } = createSession({
      engine: ruin(),
      start: drone,
      options: { resetAfterRefusals: 3, alpha: 0.05 },
    })
    const { digest } = drone
    const trained: Float32Array[] = []
    for (const segment of segments) {
      await session.addSegment(segment)
      const report = await session.runPhase()
      t.notOk(report.sent)
      t.ok(report.holdOutAfter! < report.holdOutBefore!)
      t.match(report.reason, /worse on the held-out frames/)
      trained.push(Float32Array.from(session.state().trained))
    }
    t.same(session.flown.digest, digest, 'the drone flies what it has')
    t.ok(identical(trained[2], drone.parameters), 'after three refusals')
    t.notOk(identical(trained[3], drone.parameters))
  },
)

/** Flies well, then gets weights for the worse, since no gate holds them back. @returns what happened in the phase after */
async function flyForTheWorse(rollBack: PartialSessionOptions['rollBack'] = {}) {
  const good = await taughtDrone()
  let ruining = true
  const lines: string[] = []
  const init: Partial<SessionInit> = {
    engine: ruin(() => ruining),
    log: { ...silentLog, warn: message => lines.push(message) },
    options: { holdOutFraction: 0, alpha: 0.05, rollBack },
  }
  const { session } = createSession({ ...init, start: good })
  const drone = new Replica()
  Object.assign(drone, { version: good.version, parameters: good.parameters })
  await session.addSegment(segments[0])
  session.acknowledge(drone.apply((await session.runPhase()).update!))
  const bad = { version: drone.version, parameters: drone.parameters, digest: drone.digest }
  ruining = false
  await session.addSegment(segments[1])
  return { session, drone, good, bad, lines, init, report: await session.runPhase() }
}

t.test(
  'live mIoU fell after a swap: the drone is told to go back, and learning goes on from there',
  async t => {
    const { session, drone, good, bad, lines, report } = await flyForTheWorse()
    t.match(report, { trained: false, sent: false, reason: /has not gone back from version/ })
    t.equal(report.live!.frames, SEGMENT)
    t.ok(report.live!.after < report.live!.before - 0.05, `${report.live!.before} → ${report.live!.after}`)
    t.match(lines.join(), /turned out worse than the one before: mIoU .* on 6 frames since the swap/)
    t.same(session.rejectDigest, bad.digest)
    // As agent/student/applier.ts does on that digest.
    Object.assign(drone, { version: good.version, parameters: good.parameters })
    t.equal(session.reconcile({ ...drone.report(), rolledBack: [bad.digest] }), undefined)
    t.same(session.flown.digest, good.digest)
    t.ok(identical(session.state().trained, good.parameters), 'the training copy is what flies')
    t.ok(session.state().m.every(value => value === 0))
    await session.addSegment(segments[2])
    const next = await session.runPhase()
    t.match(next, {
      trained: true,
      sent: true,
      update: { baseVersion: good.version, version: bad.version + 1 },
    })
    t.equal(next.live, undefined, 'there is no swap to watch')
    session.acknowledge(drone.apply(next.update!))
    t.notSame(drone.digest, bad.digest)
    t.same(session.flown.digest, drone.digest)
  },
)

t.test('a drone that does not go back is sent what it flew before, after some phases', async t => {
  const { session, drone, good } = await flyForTheWorse()
  const sent: boolean[] = []
  let update: OutgoingUpdate | undefined
  for (const segment of [segments[2], segments[3]]) {
    await session.addSegment(segment)
    const report = await session.runPhase()
    sent.push(report.sent)
    update = report.update
  }
  t.same(sent, [false, true])
  session.acknowledge(drone.apply(update!))
  t.same(session.flown.digest, drone.digest)
  const distance = drone.parameters.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - good.parameters[i])),
    0,
  )
  t.ok(distance < 1e-2, `the weights before, in binary16: ${distance}`)
  t.ok(identical(session.state().trained, drone.parameters))
})

t.test('going back survives a restart of the ground station; it can be turned off', async t => {
  const { session, drone, good, bad, init } = await flyForTheWorse()
  const state = decodeState(encodeState(session.state()), 'test')
  const { session: after } = createSession({ ...init, state })
  t.same(after.rejectDigest, bad.digest)
  Object.assign(drone, { version: good.version, parameters: good.parameters })
  t.equal(after.reconcile({ ...drone.report(), rolledBack: [bad.digest] }), undefined)
  t.same(after.flown.digest, good.digest, 'it knows those weights')
  const off = await flyForTheWorse({ enabled: false })
  t.match(off.report, { trained: true, sent: true })
  t.equal(off.report.live, undefined)
  t.equal(off.session.rejectDigest, undefined)
})
