import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkBoard, checkDisk, checkVehicle, parseAgentConfig } from '@kestrel/agent'
import { startBroker } from '@kestrel/ground-station'
import { RealClock, silentLog } from '@kestrel/runtime'
import { startAutopilot } from '@kestrel/simulator'
import t, { type Test } from 'tap'
import { home, plan } from '../simulator/flights.js'
import { bins, freePort, start, waitFor } from '../support/processes.js'
import { writeScene } from '../support/scene.js'
import { systemTree } from '../support/system-tree.js'
import { tinyStudent } from './support.js'

t.setTimeout(300_000)

async function setUp(t: Test, change: Record<string, unknown> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-check-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const { frames } = writeScene(folder, { seconds: 1, fps: 10, width: 48, height: 32, seed: 1 })
  writeFileSync(join(folder, 'tiny.onnx'), tinyStudent().bytes)
  const port = await freePort()
  const file = join(folder, 'agent.yaml')
  const config = {
    drone: 'kes1',
    broker: `mqtt://127.0.0.1:${port}`,
    student: 'tiny.onnx',
    camera: { source: frames, fps: 10, loop: true },
    threads: 1,
    resources: { maxMemory: 100, maxTemperatureC: 120, minFreeMB: 0 },
    ...change,
  }
  writeFileSync(file, JSON.stringify(config))
  return { folder, file, port }
}

/** The lines of the table by part: whether it works, and what it says. */
function rows(output: string): Record<string, { works: boolean; text: string }> {
  return Object.fromEntries(
    output
      .trim()
      .split('\n')
      .map(line => {
        const [, state, part, text] = /^(ok|FAILS) +(\S+) +(.+)$/.exec(line) ?? []
        return [part, { works: state === 'ok', text }]
      }),
  )
}

t.test(
  'on a machine with nothing attached each missing piece is one line, and the exit code is 1',
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'kestrel-check-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
    const file = join(folder, 'agent.yaml')
    const check = start(bins.agent, ['check', '--config', file], { cwd: folder })
    t.equal(await check.ended, 1)
    t.notMatch(check.output(), /\n\s+at /, 'no stack trace')
    const { config, student, camera, ...rest } = rows(check.output())
    t.match(config, { works: false, text: /There is no .*agent\.yaml: copy/ })
    t.match(student, { works: false, text: /There is no student .*student\.onnx: set student/ })
    t.match(camera, { works: existsSync('/dev/video0'), text: /\/dev\/video0/ })
    t.match(rest.vehicle, { works: existsSync('/dev/serial0'), text: /\/dev\/serial0/ })
    t.same(Object.keys(rest), ['broker', 'vehicle', 'disk', 'board'])
  },
)

t.test('what is wrong is named, part by part; one that fails does not hide the next', async t => {
  const { file } = await setUp(t, { camera: { source: 'nowhere.mp4' } })
  const check = start(bins.agent, ['check', '--config', file])
  t.equal(await check.ended, 1)
  t.match(rows(check.output()), {
    config: { works: true, text: /drone kes1/ },
    student: { works: true, text: /tiny\.onnx: \d+ classes, 24x16, \d+ ms a frame/ },
    camera: { works: false, text: /There is no camera source .*nowhere\.mp4/ },
    broker: { works: false, text: /nothing listens there.*start the ground station/ },
    vehicle: { works: true, text: /none in the configuration/ },
    disk: { works: true },
  })
})

t.test('a configuration with several mistakes is still one line', async t => {
  const { file } = await setUp(t, { brokr: 'x', threads: -1 })
  const check = start(bins.agent, ['check', '--config', file])
  t.equal(await check.ended, 1)
  t.match(rows(check.output()).config, { works: false, text: /threads.*"brokr": did you mean "broker"/ })
})

t.test('all of it works; a running agent answers, is not disturbed, and says when it is gone', async t => {
  const { file, port, folder } = await setUp(t)
  const none = start(bins.agent, ['status', '--config', file])
  t.equal(await none.ended, 1)
  t.match(none.output(), /no agent runs .*kestrel-agent run/s)

  const broker = await startBroker({ host: '127.0.0.1', port, log: silentLog })
  t.teardown(() => broker.close())
  const before = start(bins.agent, ['check', '--config', file])
  t.equal(await before.ended, 0, before.output())

  const run = start(bins.agent, ['run', '--config', file])
  t.teardown(() => run.stop('SIGKILL'))
  const status = async () => {
    const ask = start(bins.agent, ['status', '--json', '--config', file])
    return (await ask.ended) === 0 ? JSON.parse(ask.output()) : undefined
  }
  await waitFor('the agent to fly', () => existsSync(join(folder, 'state/agent.sock')), {
    timeoutS: 60,
    context: run.output,
  })
  let said: Awaited<ReturnType<typeof status>>
  for (let i = 0; i < 60 && !(said?.flight.frames > 0 && said.link.up && said.board); i++)
    said = await status()
  t.match(said, {
    drone: 'kes1',
    camera: { description: /48x32/ },
    model: { version: 0 },
    link: { up: true },
    board: { underVoltage: false, diskFull: false, reasons: [] },
  })
  const text = start(bins.agent, ['status', '--config', file])
  t.equal(await text.ended, 0)
  t.match(
    text.output(),
    /^Drone +kes1[\s\S]*frames\/s[\s\S]*Model +tiny\.onnx|Model +.*tiny\.onnx, version 0/m,
  )

  const during = start(bins.agent, ['check', '--config', file])
  t.equal(await during.ended, 0, during.output())
  t.match(rows(during.output()).camera.text, /in use by the agent that runs/)
  const second = start(bins.agent, ['run', '--config', file])
  t.equal(await second.ended, 2)
  t.match(second.output(), /Another agent runs with the same state/)

  t.equal(await run.stop('SIGTERM'), 0)
  t.notMatch(run.output(), /Lost the broker/, 'nobody took its place at the broker')
  const gone = start(bins.agent, ['status', '--config', file])
  t.equal(await gone.ended, 1)
})

t.test('a disk that is too full, or not ours', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-disk-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const config = (change: object) =>
    parseAgentConfig({
      drone: 'kes1',
      student: 's.onnx',
      camera: { source: 'c.mp4' },
      stateDir: join(folder, 'state'),
      ...change,
    })
  const { bavail, bsize } = statfsSync(folder)
  t.match(checkDisk(config({ resources: { minFreeMB: 0 } })), /MB free, 0\.0 of 1024 MB in use/)
  const tooMuch = Math.ceil((2 * bavail * bsize) / 1e6)
  t.throws(() => checkDisk(config({ resources: { minFreeMB: tooMuch } })), {
    name: 'UserError',
    message: /MB are free/,
  })
  mkdirSync(join(folder, 'state'))
  writeFileSync(join(folder, 'state/weights'), new Uint8Array(2_000_000))
  t.match(checkDisk(config({ resources: { minFreeMB: 0 } })), /2\.0 of 1024 MB/)
  t.throws(() => checkDisk(config({ stateDir: '/proc/kestrel' })), {
    name: 'UserError',
    message: /\/proc cannot be written by user/,
  })
})

t.test('a board in trouble is told with what helps', async t => {
  const config = parseAgentConfig({ drone: 'kes1', student: 's.onnx', camera: { source: 'c.mp4' } })
  const tree = systemTree(t, {
    '/proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
    '/proc/meminfo': 'MemTotal: 4000000 kB\nMemAvailable: 3000000 kB',
    '/sys/class/thermal/thermal_zone0/type': 'cpu-thermal',
    '/sys/class/thermal/thermal_zone0/temp': '51000',
  })
  t.match(
    checkBoard(config, tree),
    /^Raspberry Pi 4 Model B Rev 1\.4, .*25 % of 4\.1 GB memory, 51 °C, not throttled$/,
  )
  tree.write({ '/sys/bus/platform/drivers/raspberrypi-firmware/soc:firmware/get_throttled': '0x50005' })
  t.throws(() => checkBoard(config, tree), {
    name: 'UserError',
    message: /supply voltage is too low.*5\.1 V/,
  })
})

t.test('an autopilot that is heard, one that is silent, and a line that is no MAVLink', async t => {
  const clock = new RealClock()
  const config = (endpoint: string) =>
    parseAgentConfig({ drone: 'kes1', student: 's.onnx', camera: { source: 'c.mp4' }, vehicle: { endpoint } })
  const port = await freePort()
  const autopilot = await startAutopilot({
    flight: plan(),
    home,
    clock,
    startMs: clock.nowMs() - 60_000,
    log: silentLog,
    listen: { tcp: { host: '127.0.0.1', port } },
  })
  t.match(
    await checkVehicle(config(`tcp:127.0.0.1:${port}`), undefined),
    new RegExp(`^tcp:127.0.0.1:${port}: ArduCopter, system 1, `),
  )
  await autopilot.stop()
  await t.rejects(checkVehicle(config(`tcp:127.0.0.1:${port}`), undefined), {
    message: new RegExp(`${port}`),
  })
  const babble = createServer(socket => socket.on('error', () => undefined).end('login: '.repeat(100)))
  await once(babble.listen(port, '127.0.0.1'), 'listening')
  t.teardown(() => babble.close())
  await t.rejects(checkVehicle(config(`tcp:127.0.0.1:${port}`), undefined), {
    name: 'UserError',
    message: /check the wiring/,
  })
})
