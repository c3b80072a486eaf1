import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import type { LearningPhase, LearningScore } from '@kestrel/flight-log'
import { makeFlightId, openFlight } from '@kestrel/flight-log'
import { FlightRecorder, groundConfigSchema, type LiveView, type PhaseNews } from '@kestrel/ground-station'
import { encodeEnvelope, StatusSchema, TelemetrySchema } from '@kestrel/link'
import { createRng, silentLog, VirtualClock } from '@kestrel/runtime'
import t, { type Test } from 'tap'
import { waitFor } from '../support/processes.js'

const BEGIN_MS = 1_764_300_000_000

function setUp(t: Test) {
  const clock = new VirtualClock(BEGIN_MS)
  const dir = t.testdir()
  const config = groundConfigSchema.parse({
    student: 's.onnx',
    teacher: 'labels:truth',
    broker: 'mqtt://pilot:hunter2@127.0.0.1:1',
  })
  const student = {
    source: '/models/s.onnx',
    digest: new Uint8Array(32),
    layoutDigest: new Uint8Array(32),
    classes: ['land', 'water'],
    width: 4,
    height: 2,
  }
  const recorder = new FlightRecorder({ config, dir, student, clock, log: silentLog })
  recorder.start()
  return { clock, dir, recorder, tell: recorder.observer }
}

const idOf = (drone: string, seed: string) => makeFlightId(drone, BEGIN_MS, createRng(seed))
const onlineIn = (flight: string) => create(StatusSchema, { online: true, flight })
const telemetryIn = (flight: string, modelVersion: number) =>
  create(TelemetrySchema, { flight, modelVersion, timeUs: BigInt(BEGIN_MS) * 1000n })

async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const message of messages) found.push(message)
  return found
}

function phaseNews(change: Partial<PhaseNews>): PhaseNews {
  return {
    timeMs: BEGIN_MS,
    phase: 1,
    trained: true,
    iterations: 20,
    loss: 0.5,
    frames: 40,
    heldOut: 8,
    sent: false,
    samplingFps: 1,
    updatePeriodS: 10,
    durationMs: 900,
    ...change,
  }
}

t.test(
  'what the ground sees of a flight is in its log: phases, scores, labels, messages, events',
  async t => {
    const { clock, dir, recorder, tell } = setUp(t)
    const id = idOf('scout-1', 'a')
    const status = encodeEnvelope({ case: 'status', value: { online: true, flight: id } }, { clock })
    // The message that brings the flight is the first of its log.
    tell.message!('scout-1', { timeMs: BEGIN_MS, direction: 'up', what: 'status', bytes: status })
    t.same([...recorder.flights], [['scout-1', id]])
    tell.telemetry!('scout-1', telemetryIn(id, 3))
    tell.phase!(
      'scout-1',
      phaseNews({ phi: 0.25, sent: true, update: { version: 4, baseVersion: 3, weights: 50, bytes: 800 } }),
    )
    tell.phase!(
      'scout-1',
      phaseNews({ phase: 2, trained: false, iterations: 0, loss: Number.NaN, reason: 'no frames' }),
    )
    const map = (fill: number) => ({ width: 4, height: 2, data: new Uint8Array(8).fill(fill) })
    const counts = { intersection: [3, 1], union: [5, 4], truth: [4, 4] }
    const worse = { intersection: [2, 0], union: [5, 4], truth: [4, 4] }
    const view: LiveView = {
      captureMs: BEGIN_MS + 500,
      modelVersion: 3,
      picture: { width: 4, height: 2, jpeg: new Uint8Array() },
      labels: { teacher: map(1), student: map(0), frozen: map(1) },
      scores: [0, 500].map(ms => ({
        captureMs: BEGIN_MS + ms,
        sourceIndex: ms,
        adapting: 0.4,
        frozen: 0.2,
        counts: { adapting: counts, frozen: worse },
      })),
      window: { frames: 2, adapting: 0.425, frozen: 0.2 },
    }
    tell.view!('scout-1', view)
    tell.taught!('scout-1', [
      { captureMs: BEGIN_MS, labels: map(1) },
      { captureMs: BEGIN_MS + 500, labels: map(0) },
    ] as Parameters<NonNullable<typeof tell.taught>>[1])
    tell.event!('scout-1', { timeMs: BEGIN_MS, severity: 'warning', type: 'rolled-back', text: 'Back to 2' })
    tell.line!({ timeMs: BEGIN_MS, level: 'info', part: 'ground/link', message: 'hello' })
    await recorder.stop()

    const flight = await openFlight(join(dir, id))
    t.teardown(() => flight.close())
    const count = (topic: string) => flight.channels.get(topic)?.count ?? 0
    t.equal(count('/link/status'), 1)
    t.equal(count('/link/telemetry'), 0, 'telemetry is logged as such')
    t.equal(count('/agent/telemetry'), 1)
    t.same(
      ['student', 'frozen', 'teacher'].map(who => count(`/labels/${who}`)),
      [1, 1, 2],
    )
    const phases = (await all(flight.messages('/learning/phase'))).map(
      ({ message }) => message as unknown as LearningPhase,
    )
    t.match(phases, [
      {
        phase: 1,
        trained: true,
        loss: 0.5,
        phi: 0.25,
        sent: true,
        version: 4,
        updateBytes: 800,
        updateWeights: 50,
      },
      { phase: 2, trained: false, loss: undefined, phi: undefined, sent: false, reason: 'no frames' },
    ])
    const scores = (await all(flight.messages('/learning/score'))).map(
      ({ message }) => message as unknown as LearningScore,
    )
    t.match(scores, [
      { adapting: undefined, adaptingIntersection: [3n, 1n], frozenIntersection: [2n, 0n], truth: [4n, 4n] },
      { modelVersion: 3, frozenUnion: [5n, 4n] },
    ])
    t.ok(Math.abs(scores[1].adapting! - 0.425) < 1e-6, 'the window belongs to the newest frame')
    t.match(await flight.scores(), {
      frames: 2,
      adapting: { intersection: [6, 2] },
      frozen: { intersection: [4, 0] },
    })
    const events = await flight.events()
    t.match(
      events.map(({ type }) => type),
      ['flight-start', 'rolled-back', 'flight-end'],
    )
    t.match(flight.info, {
      id,
      drone: 'scout-1',
      side: 'ground',
      student: 's.onnx',
      classes: ['land', 'water'],
    })
    t.notMatch(flight.info!.configuration, /hunter2/, 'no secret is logged')
  },
)

t.test('each drone has its log; another id begins another, a name that is not its own none', async t => {
  const { dir, recorder, tell } = setUp(t)
  const [first, second, other] = [idOf('scout-1', 'a'), idOf('scout-1', 'b'), idOf('scout-2', 'c')]
  tell.status!('scout-1', onlineIn(first), undefined)
  tell.status!('scout-2', onlineIn(other), undefined)
  tell.telemetry!('scout-1', telemetryIn(first, 1))
  tell.telemetry!('scout-2', telemetryIn(other, 7))
  tell.telemetry!('scout-1', telemetryIn(second, 2))
  // A drone may not write into another's flight, nor name a folder of its own choice.
  tell.telemetry!('scout-3', telemetryIn(other, 9))
  tell.telemetry!('scout-3', telemetryIn('../../etc', 9))
  tell.status!('scout-3', onlineIn(''), undefined)
  t.same(
    recorder.flights,
    new Map([
      ['scout-1', second],
      ['scout-2', other],
    ]),
  )
  await recorder.stop()
  t.same(readdirSync(dir).sort(), [first, second, other].sort())
  for (const [id, versions] of [
    [first, [1]],
    [second, [2]],
    [other, [7]],
  ] as const) {
    const flight = await openFlight(join(dir, id))
    const telemetry = await all(flight.messages('/agent/telemetry'))
    t.same(
      telemetry.map(({ message }) => (message as unknown as { modelVersion: number }).modelVersion),
      versions,
    )
    await flight.close()
  }
})

t.test(
  'a drone that said goodbye may come back to its flight; one that is silent for long may not',
  async t => {
    const { clock, dir, recorder, tell } = setUp(t)
    const id = idOf('scout-1', 'a')
    tell.status!('scout-1', onlineIn(id), undefined)
    tell.status!('scout-1', create(StatusSchema, { online: false }), undefined)
    t.equal(recorder.flights.size, 1)
    await clock.advanceTo(BEGIN_MS + 100_000)
    t.equal(recorder.flights.size, 1)
    tell.telemetry!('scout-1', telemetryIn(id, 1))
    await clock.advanceTo(BEGIN_MS + 200_000)
    t.equal(recorder.flights.size, 1, 'heard 100 s ago')
    // A tick keeps the folder in bounds, and no virtual clock waits for a disk: time goes on until it was looked at.
    await waitFor(
      'the end of the flight',
      () => {
        void clock.advanceTo(clock.nowMs() + 5000)
        return recorder.flights.size === 0
      },
      { timeoutS: 30 },
    )
    tell.event!('scout-1', { timeMs: 0, severity: 'info', type: 'online', text: 'of no flight' })
    await recorder.stop()
    t.ok(existsSync(join(dir, id, 'ground.mcap')))
  },
)
