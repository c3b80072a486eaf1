import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAgentConfig, startAgent } from '@kestrel/agent'
import { decodeEnvelope, everyDrone, memoryBroker, type Payload } from '@kestrel/link'
import t from 'tap'
import { waitFor } from '../support/processes.js'
import { writeScene } from '../support/scene.js'
import { systemTree } from '../support/system-tree.js'
import { keptLog, tinyStudent } from './support.js'

t.setTimeout(300_000)

type Telemetry = Extract<Payload, { case: 'telemetry' }>['value']

t.test(
  'a board in trouble is spared, the ground hears why; and unsent segments give way to a quota',
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'kestrel-board-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
    const tree = systemTree(t, {
      '/proc/device-tree/model': 'Raspberry Pi 5 Model B Rev 1.0\0',
      '/proc/meminfo': 'MemTotal: 8000000 kB\nMemAvailable: 6000000 kB',
      '/sys/class/thermal/thermal_zone0/type': 'cpu-thermal',
      '/sys/class/thermal/thermal_zone0/temp': '50000',
    })
    const firmware = '/sys/bus/platform/drivers/raspberrypi-firmware/soc:firmware/get_throttled'
    const { frames } = writeScene(folder, { seconds: 3, fps: 20, width: 96, height: 64, seed: 1 })
    writeFileSync(join(folder, 'tiny.onnx'), tinyStudent().bytes)
    const stateDir = join(folder, 'state')
    const broker = memoryBroker()
    const heard: Telemetry[] = []
    const ear = broker.connect()
    void ear.subscribe(everyDrone('telemetry'), (_, bytes) => {
      const { payload } = decodeEnvelope(bytes)
      if (payload.case === 'telemetry') heard.push(payload.value)
    })
    const log = keptLog()
    const config = parseAgentConfig({
      drone: 'kes1',
      student: join(folder, 'tiny.onnx'),
      stateDir,
      camera: { source: frames, fps: 20, loop: true },
      threads: 1,
      resources: { minFreeMB: 0, maxStateMB: 1 },
    })
    const agent = await startAgent(config, {
      log,
      connect: ({ will }) => broker.connect({ will }),
      root: tree.root,
    })
    t.teardown(() => agent.stop())
    const hear = (what: string, condition: (telemetry: Telemetry) => boolean) =>
      waitFor(what, () => heard.find(condition), { timeoutS: 60, context: () => log.lines.join('\n') })

    const first = await hear('a calm board', ({ board, frames }) => board !== undefined && frames > 20n)
    t.match(first.board, {
      model: 'Raspberry Pi 5 Model B Rev 1.0',
      memory: 0.25,
      temperatureC: 50,
      underVoltage: false,
      limitFps: 0,
      framesSkipped: 0n,
    })
    t.ok(first.board!.diskFreeBytes > 0n)

    tree.write({ [firmware]: '0x50005' })
    const spared = await hear('fewer frames', ({ board }) => board!.framesSkipped > 10n)
    t.match(spared.board, {
      underVoltage: true,
      cpuThrottled: true,
      thermalThrottled: false,
      diskFull: false,
    })
    t.match(spared.board!.limitReason, /supply voltage is too low/)
    t.ok(spared.board!.limitFps <= 10, `${spared.board!.limitFps} of 20 frames/s`)
    t.ok(log.lines.some(line => /^warn: At most [\d.]+ frames\/s: the supply voltage/.test(line)))

    // Another program's file in the state folder uses the quota up.
    writeFileSync(join(stateDir, 'core'), new Uint8Array(1_500_000))
    await hear('a full disk', ({ board }) => board!.diskFull && board!.stateBytes >= 1_500_000n)
    t.equal(
      log.lines.filter(line => /^warn: .*state holds 2 MB, 1 MB may be/.test(line)).length,
      1,
      'said once',
    )
    rmSync(join(stateDir, 'core'))
    await waitFor('room again', () => log.lines.find(line => /There is room on the disk again/.test(line)), {
      timeoutS: 60,
    })
  },
)

t.test('footage that is read as fast as possible is labelled whole, whatever the board says', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-board-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const tree = systemTree(t, { '/sys/devices/platform/soc/soc:firmware/get_throttled': 'f' })
  const { frames } = writeScene(folder, { seconds: 3, fps: 10, width: 48, height: 32, seed: 1 })
  writeFileSync(join(folder, 'tiny.onnx'), tinyStudent().bytes)
  const config = parseAgentConfig({
    drone: 'kes1',
    student: join(folder, 'tiny.onnx'),
    stateDir: join(folder, 'state'),
    camera: { source: frames, fps: 10, pace: 'as-fast-as-possible' },
    threads: 1,
  })
  const log = keptLog()
  const agent = await startAgent(config, {
    log,
    connect: ({ will }) => memoryBroker().connect({ will }),
    root: tree.root,
  })
  await agent.finished
  await agent.stop()
  t.ok(
    log.lines.some(line => /30 frames labelled, 0 dropped/.test(line)),
    log.lines.join('\n'),
  )
  t.ok(
    log.lines.some(line => /At most/.test(line)),
    'the governor did see it',
  )
})
