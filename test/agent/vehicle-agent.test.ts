import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AgentConfig, parseAgentConfig, startAgent } from '@kestrel/agent'
import {
  decodeEnvelope,
  encodeEnvelope,
  everyDrone,
  memoryBroker,
  type Pose,
  type Telemetry,
  topic,
  type UpdateResult,
} from '@kestrel/link'
import { parameterDigest, readParameters, readStudentFile } from '@kestrel/models'
import { RealClock, silentLog, UserError } from '@kestrel/runtime'
import { fromGeodetic, startAutopilot } from '@kestrel/simulator'
import t, { type Test } from 'tap'
import { home, plan } from '../simulator/flights.js'
import { overUdp } from '../simulator/ground-station.js'
import { plugCable } from '../support/cable.js'
import { freePort, waitFor } from '../support/processes.js'
import { writeScene } from '../support/scene.js'
import { keptLog, tinyStudent, updateChain } from './support.js'

t.setTimeout(300_000)

const clock = new RealClock()
const student = tinyStudent()
const flight = plan()

/** The simulator's autopilot in the middle of its flight, or at its end. */
function autopilot(
  listen: Parameters<typeof startAutopilot>[0]['listen'],
  { atS = 60 }: { atS?: number } = {},
) {
  return startAutopilot({ flight, home, clock, log: silentLog, startMs: clock.nowMs() - atS * 1000, listen })
}

function setUp(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-vehicle-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const { frames } = writeScene(folder, { seconds: 3, fps: 10, width: 60, height: 40, seed: 1 })
  const file = join(folder, 'tiny.onnx')
  writeFileSync(file, student.bytes)
  const broker = memoryBroker()
  const log = keptLog()
  const poses: { captureMs: number; pose?: Pose }[] = []
  const telemetry: Telemetry[] = []
  const results: UpdateResult[] = []
  const ground = broker.connect()
  for (const what of ['segment', 'telemetry', 'update-result'] as const) {
    void ground.subscribe(everyDrone(what), (_, bytes) => {
      const { id, payload } = decodeEnvelope(bytes)
      if (payload.case === 'telemetry') telemetry.push(payload.value)
      if (payload.case === 'updateResult') results.push(payload.value)
      if (payload.case !== 'segment') return
      // As a ground station does: without it, only so many segments are under way.
      const receipt = { case: 'receipt', value: { segment: id } } as const
      void ground.publish(topic('kes1', 'receipt'), encodeEnvelope(receipt, { clock }), { qos: 1 })
      for (const { captureUs, pose } of payload.value.frames)
        poses.push({ captureMs: Number(captureUs) / 1000, pose })
    })
  }
  const start = async (vehicle: NonNullable<AgentConfig['vehicle']> | { endpoint: string }) => {
    const config = parseAgentConfig({
      drone: 'kes1',
      student: file,
      stateDir: join(folder, 'state'),
      camera: { source: frames, fps: 10, loop: true },
      sampling: { fps: 5, minFps: 1, maxFps: 10 },
      uplink: { periodS: 1 },
      threads: 1,
      vehicle,
    })
    const agent = await startAgent(config, { log, connect: ({ will }) => broker.connect({ will }) })
    t.teardown(() => agent.stop())
    return agent
  }
  const update = (version: number, data: Uint8Array) =>
    ground.publish(
      topic('kes1', 'update'),
      encodeEnvelope(
        { case: 'update', value: { baseVersion: version - 1, version, part: 0, parts: 1, data } },
        { clock },
      ),
      { qos: 1 },
    )
  return { folder, log, poses, telemetry, results, start, update }
}

const wait = <T>(what: string, check: () => T | undefined) => waitFor(what, check, { timeoutS: 60 })

t.test('Over UDP: frames carry their pose, telemetry the vehicle; the autopilot may go and come', async t => {
  const { poses, telemetry, start, log } = setUp(t)
  const port = await freePort()
  await start({ endpoint: `udpin:127.0.0.1:${port}` })
  t.equal(telemetry.length > 0 && telemetry[0].vehicle?.connected, false, 'it flies without')
  let other = await autopilot({ udp: { target: { host: '127.0.0.1', port } } })
  await wait('tagged frames', () =>
    poses.filter(({ pose }) => pose?.positioned).length > 10 ? true : undefined,
  )
  const { vehicle } = await wait('a vehicle', () => telemetry.find(each => each.vehicle?.connected))
  t.match(vehicle, { systemId: 1, kind: 'ArduCopter', armed: true, mode: 'AUTO', landedState: 2, gpsFix: 3 })
  const startMs = other.vehicle.clockMsAt(0)
  const off = poses.flatMap(({ captureMs, pose }) => {
    if (!pose?.positioned) return []
    const { x, y } = fromGeodetic(home, { latitude: pose.latitudeDeg, longitude: pose.longitudeDeg })
    const { position } = flight.stateAt((captureMs - startMs) / 1000)
    return [Math.hypot(x - position.x, y - position.y)]
  })
  // At 12 m/s a metre is 80 ms of a busy machine.
  t.ok(off.toSorted((a, b) => a - b)[off.length >> 1] < 1, `median ${off[off.length >> 1].toFixed(2)} m off`)
  await other.stop()
  await wait('its loss', () => log.lines.find(line => /The autopilot is gone/.test(line)))
  const { length } = poses
  await wait('frames go on', () => (poses.length > length + 5 ? true : undefined))
  other = await autopilot({ udp: { target: { host: '127.0.0.1', port } } })
  await wait('its return', () =>
    log.lines.filter(line => /The autopilot is there/.test(line)).length === 2 ? true : undefined,
  )
  await other.stop()
})

t.test(
  'Over TCP: it is waited for, which is said once; on the ground, disarmed, nothing is sampled',
  async t => {
    const { log, start, poses } = setUp(t)
    const port = await freePort()
    await start({ endpoint: `tcp:127.0.0.1:${port}` })
    await wait('the complaint', () => log.lines.find(line => /Cannot connect to TCP/.test(line)))
    const flying = await autopilot({ tcp: { host: '127.0.0.1', port } })
    await wait('the autopilot', () => log.lines.find(line => /The autopilot is there/.test(line)))
    await wait('tagged frames', () => (poses.some(({ pose }) => pose?.positioned) ? true : undefined))
    await flying.stop()
    const landed = await autopilot({ tcp: { host: '127.0.0.1', port } }, { atS: flight.durationS + 20 })
    await wait('the ground', () =>
      log.lines.find(line => /Sampling stops: on the ground, disarmed/.test(line)),
    )
    await landed.stop()
    await wait('sampling without an autopilot', () => log.lines.find(line => /Sampling goes on/.test(line)))
    const complaints = log.lines.filter(line => /Cannot connect/.test(line))
    t.ok(complaints.length <= 3, `once for each outage: ${complaints.length}`)
  },
)

t.test('A pilot pauses learning, keeps a checkpoint, resumes, sets the limits, and rolls back', async t => {
  const { start, poses, results, update, folder, telemetry } = setUp(t)
  const port = await freePort()
  await start({ endpoint: `udpin:127.0.0.1:${port}` })
  const other = await autopilot({ udp: { target: { host: '127.0.0.1', port } } })
  const pilot = await overUdp(port)
  t.teardown(async () => {
    pilot.close()
    await other.stop()
  })
  await wait('a vehicle', () => telemetry.find(each => each.vehicle?.connected))
  const command = async (number: number, param1 = 0) => {
    const values = { command: number, param1, target_component: 191 }
    const ack = await pilot.ask(
      'COMMAND_LONG',
      values,
      'COMMAND_ACK',
      v => v.command === number && v.result !== 5,
    )
    return ack.result
  }
  await wait('samples', () => (poses.length > 3 ? true : undefined))
  const chain = updateChain(student)
  await update(1, chain.next())
  t.match(await wait('an answer', () => results[0]), { applied: true, version: 1 })

  t.equal(await command(31_010, 0), 0)
  const text = await pilot.next('STATUSTEXT', ({ text }) => text === 'Kestrel: learning paused', 0)
  t.equal(text.severity, 5)
  await update(2, chain.next())
  t.match(await wait('an answer', () => results[1]), { applied: false, reason: 'paused', modelVersion: 1 })
  const { length } = poses
  t.equal(await command(31_012), 0)
  t.same(readdirSync(join(folder, 'state/checkpoints')), ['v00000001.onnx'])
  const kept = readStudentFile(join(folder, 'state/checkpoints/v00000001.onnx'))
  t.same(parameterDigest(readParameters(kept)), results[0].modelDigest, 'what flies, as a model')
  t.ok(poses.length <= length + 10, 'what was sampled before the pause')

  t.equal(await command(31_010, 1), 0)
  const after = poses.length
  await wait('samples again', () => (poses.length > after + 3 ? true : undefined))
  const limit = { param_id: 'KES_FPS_MAX', param_value: 2, param_type: 9, target_component: 191 }
  t.equal((await pilot.ask('PARAM_SET', limit, 'PARAM_VALUE')).param_value, 2)
  await wait('the new rate', () => telemetry.find(({ samplingFps }) => samplingFps === 2))
  const value = await pilot.next('NAMED_VALUE_FLOAT', ({ name }) => name === 'KES_MODEL')
  t.equal(value.value, 1)
  const share = await pilot.next('NAMED_VALUE_FLOAT', ({ name }) => name === 'a_road')
  t.ok(Number(share.value) >= 0 && Number(share.value) <= 1, `of the picture: ${share.value}`)

  t.equal(await command(31_011), 0)
  await pilot.next('STATUSTEXT', ({ text }) => text === 'Kestrel: rolled back to version 0', 0)
  await wait('the version before', () => telemetry.at(-1)?.modelVersion === 0 || undefined)
  t.equal(await command(31_011), 4, 'MAV_RESULT_FAILED: nothing is before the student as shipped')
})

t.test('A key that others can read is refused before the flight', async t => {
  const { start, folder } = setUp(t)
  const signingKey = join(folder, 'key')
  writeFileSync(signingKey, 'secret', { mode: 0o644 })
  await t.rejects(start({ endpoint: 'udpin:127.0.0.1:1', signingKey } as never), UserError)
})

t.test('Over a serial line that is pulled and plugged in again', async t => {
  const { log, start, poses, folder } = setUp(t)
  const [theirs, ours] = [join(folder, 'autopilot'), join(folder, 'companion')]
  let cable = plugCable(theirs, ours)
  const other = await autopilot({ serial: { path: theirs, baudRate: 921_600 } })
  await start({ endpoint: `serial:${ours}:921600` })
  t.teardown(async () => {
    await other.stop()
    cable.close()
  })
  await wait('tagged frames', () => (poses.some(({ pose }) => pose?.positioned) ? true : undefined))
  cable.close()
  await wait('its loss', () => log.lines.find(line => /The autopilot is gone/.test(line)))
  await wait('the complaint', () => log.lines.find(line => /Cannot open the serial device/.test(line)))
  const { length } = poses
  await wait('frames go on', () => (poses.length > length + 5 ? true : undefined))
  t.ok(log.lines.filter(line => /Cannot open/.test(line)).length <= 2, 'said, not repeated')
  cable = plugCable(theirs, ours)
  await wait('its return', () =>
    log.lines.filter(line => /The autopilot is there/.test(line)).length === 2 ? true : undefined,
  )
  const after = poses.length
  await wait('poses again', () =>
    poses.slice(after).some(({ pose }) => pose?.positioned) ? true : undefined,
  )
})
