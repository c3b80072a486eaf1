import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAgentConfig, startAgent } from '@kestrel/agent'
import { type CrossedMessage, GroundStation, type JobResult } from '@kestrel/ground-station'
import { decodeEnvelope, encodeEnvelope, memoryBroker, type Telemetry, topic } from '@kestrel/link'
import { RealClock, silentLog } from '@kestrel/runtime'
import t from 'tap'
import { tinyStudent, updateChain } from '../agent/support.js'
import { waitFor } from '../support/processes.js'
import { writeScene } from '../support/scene.js'

t.setTimeout(300_000)

const clock = new RealClock()
const student = tinyStudent()

/** Orders by way of the ground station, and what the agent itself does about them. The learner has no part in it. */
t.test(
  'what the ground station orders is done by the agent, without an autopilot, and confirmed by it',
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'kestrel-commands-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
    const { frames } = writeScene(folder, { seconds: 3, fps: 10, width: 60, height: 40, seed: 1 })
    const file = join(folder, 'tiny.onnx')
    writeFileSync(file, student.bytes)
    const broker = memoryBroker()
    const said: Telemetry[] = []
    const crossed: CrossedMessage[] = []
    const events: string[] = []
    const nothing: JobResult = { newFrames: 0, samplingFps: 5, updatePeriodS: 1 }
    const { source, classes, layoutDigest } = student
    const station = new GroundStation({
      connection: broker.connect(),
      learner: {
        student: { source, classes, layoutDigest },
        run: async () => nothing,
        close: async () => {},
      },
      clock,
      uplinkKbps: 200,
      observers: [
        {
          telemetry: (_, telemetry) => said.push(telemetry),
          message: (_, message) => crossed.push(message),
          event: (_, { text }) => events.push(text),
        },
      ],
      log: silentLog,
    })
    station.start()
    t.teardown(() => station.stop())
    await t.rejects(station.command('kes1', { kind: 'learning', on: false }), /no drone kes1/)

    const agent = await startAgent(
      parseAgentConfig({
        drone: 'kes1',
        student: file,
        stateDir: join(folder, 'state'),
        camera: { source: frames, fps: 10, loop: true },
        sampling: { fps: 5, minFps: 1, maxFps: 10 },
        uplink: { periodS: 1 },
        threads: 1,
        output: { socket: join(folder, 'labels.sock') },
      }),
      { log: silentLog, connect: ({ will }) => broker.connect({ will }) },
    )
    const last = <T>(what: string, probe: (telemetry: Telemetry) => T | undefined) =>
      waitFor(what, () => (said.length === 0 ? undefined : probe(said.at(-1)!)), { timeoutS: 60 })
    await last('telemetry', ({ learning }) => learning)
    await waitFor('a segment', () => crossed.find(({ what }) => what === 'segment'), { timeoutS: 60 })

    t.match(await station.command('kes1', { kind: 'learning', on: false }), {
      done: true,
      detail: 'learning is paused',
      learning: { paused: true, holds: ['paused by the pilot'] },
    })
    await last('the pause in telemetry', ({ learning }) => (learning?.paused ? true : undefined))
    // What was sampled before it still comes; after that, nothing.
    await new Promise(resolve => setTimeout(resolve, 3000))
    const segments = () => crossed.filter(({ what }) => what === 'segment').length
    const before = segments()
    await new Promise(resolve => setTimeout(resolve, 3000))
    t.equal(segments(), before, 'nothing is sampled')
    const chain = updateChain(student)
    const ground = broker.connect()
    const send = (version: number, data: Uint8Array) => {
      const value = { baseVersion: version - 1, version, part: 0, parts: 1, data }
      const message = encodeEnvelope({ case: 'update', value }, { clock })
      return ground.publish(topic('kes1', 'update'), message, { qos: 1 })
    }
    const results = () =>
      crossed.flatMap(({ what, bytes }) =>
        what === 'update-result' ? [decodeEnvelope(bytes).payload.value] : [],
      )
    const first = chain.next()
    await send(1, first)
    await waitFor('the refusal', () => results().length === 1, { timeoutS: 60 })
    t.match(results()[0], { applied: false, reason: 'paused' })
    t.match(await station.command('kes1', { kind: 'learning', on: true }), {
      done: true,
      learning: { paused: false },
    })
    await waitFor('segments again', () => segments() > before, { timeoutS: 60 })

    t.match(await station.command('kes1', { kind: 'sampling', minFps: 2, maxFps: 3 }), {
      done: true,
      learning: { minFps: 2, maxFps: 3 },
    })
    await last('the new rate', ({ samplingFps }) => (samplingFps === 3 ? true : undefined))
    t.match(await station.command('kes1', { kind: 'sampling', minFps: 3, maxFps: 2 }), {
      done: false,
      detail: /the lower one first/,
      learning: { minFps: 2, maxFps: 3 },
    })

    t.match(await station.command('kes1', { kind: 'roll-back', fromVersion: 1 }), {
      done: false,
      detail: 'version 0 flies, not version 1: nothing was rolled back',
    })
    await send(1, first)
    await waitFor('version 1', () => results().length === 2, { timeoutS: 60 })
    t.match(results()[1], { applied: true, version: 1 })
    t.match(await station.command('kes1', { kind: 'save-checkpoint' }), { done: true, detail: /checkpoints/ })
    t.match(await station.command('kes1', { kind: 'roll-back', fromVersion: 1 }), {
      done: true,
      detail: 'version 0 flies again instead of version 1',
      modelVersion: 0,
    })
    t.ok(
      events.some(text => text === 'Version 0 flies again instead of version 1'),
      events.join('\n'),
    )
    t.equal(events.filter(text => text.startsWith('Order')).length, 7)

    await agent.stop()
    await waitFor('its goodbye', () => events.find(text => text.startsWith('Gone')), { timeoutS: 20 })
    await t.rejects(station.command('kes1', { kind: 'learning', on: false }), /not connected/)
  },
)

t.test('an order without an answer is given up after 20 s, and a late answer is nobody’s', async t => {
  const broker = memoryBroker()
  let wake = () => {}
  const events: string[] = []
  const station = new GroundStation({
    connection: broker.connect(),
    learner: {
      student: { source: '', classes: [], layoutDigest: new Uint8Array() },
      run: async () => ({ newFrames: 0, samplingFps: 1, updatePeriodS: 10 }),
      close: async () => {},
    },
    clock: {
      nowMs: () => 0,
      sleep: (ms, signal) =>
        new Promise(resolve => {
          signal?.addEventListener('abort', () => resolve())
          if (ms === 20_000) wake = resolve
        }),
    },
    uplinkKbps: 200,
    observers: [{ event: (_, { text }) => events.push(text) }],
    log: silentLog,
  })
  station.start()
  t.teardown(() => station.stop())
  const drone = broker.connect()
  const orders: Uint8Array[] = []
  await drone.subscribe(topic('mute', 'command'), (_, bytes) => {
    const { payload } = decodeEnvelope(bytes)
    if (payload.case === 'command') orders.push(payload.value.id)
  })
  const say = (what: 'status' | 'command-result', payload: Parameters<typeof encodeEnvelope>[0]) =>
    drone.publish(topic('mute', what), encodeEnvelope(payload, { clock }), { qos: 1 })
  await say('status', { case: 'status', value: { online: true } })
  const ordered = station.command('mute', { kind: 'save-checkpoint' })
  await waitFor('the order', () => orders[0], { timeoutS: 10 })
  wake()
  await t.rejects(ordered, /mute did not answer within 20 s/)
  await say('command-result', { case: 'commandResult', value: { id: orders[0], done: true, detail: 'kept' } })
  await waitFor('the late answer', () => events.find(text => text.includes('a late answer')), {
    timeoutS: 10,
  })
  // Sixteen at once and no more.
  const many = Array.from({ length: 16 }, () =>
    station.command('mute', { kind: 'save-checkpoint' }).catch(() => {}),
  )
  await t.rejects(station.command('mute', { kind: 'save-checkpoint' }), /16 orders wait/)
  void many
})
