import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createWriteStream, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setPriority, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { connectMqtt, decodeEnvelope, everyDrone, type Telemetry } from '@kestrel/link'
import { encode, FrameReader, message } from '@kestrel/link/mavlink'
import { RealClock, silentLog, UserError } from '@kestrel/runtime'
import {
  type AutopilotOptions,
  loadScenario,
  openFlight,
  serialCable,
  startAutopilot,
} from '@kestrel/simulator'
import { minimal } from 'mavlink-mappings'

const USAGE = `npm run bench -- flight [options]

  --minutes N      (default 10)
  --link KIND      serial or udp: between autopilot and agent (default serial)
  --scenario NAME  (default valley-to-town)
  --student FILE   (default models/student-aerial8-256x144.onnx)
  --fps N          of the simulated camera (default 10)

A whole flight of three parties on this machine: the simulator's autopilot, kestrel-agent, and kestrel-ground, which trains on exact
labels and sends updates. Told are the share of frames with a pose, how evenly the agent's heartbeats come, and frames lost near
swaps and elsewhere.`

/** Of the scenario, s: in the air already. */
const BEGIN_S = 30
/** Frames that are lost this close to a swap count as its, ms; telemetry comes once a second. */
const NEAR_MS = 1500
const root = join(import.meta.dirname, '../..')
const clock = new RealClock()

interface Observed {
  beatsMs: number[]
  telemetry: { atMs: number; value: Telemetry }[]
  swapsMs: number[]
  refused: number
  sampled: number
  sampledWithPose: number
}

/** A flight over a serial line or UDP while updates arrive. */
export async function benchFlight(argv: string[]): Promise<void> {
  const options = parseOptions(argv)
  if (options === undefined) return console.log(USAGE)
  const { scenario, minutes, link } = options
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-bench-flight-'))
  const [brokerPort, udpPort] = [await freePort(), await freePort()]
  const epochMs = Date.now() - 1000 * BEGIN_S + 5000
  const observed: Observed = {
    beatsMs: [],
    telemetry: [],
    swapsMs: [],
    refused: 0,
    sampled: 0,
    sampledWithPose: 0,
  }
  const way = link === 'serial' ? overSerial(observed) : await overUdp(observed, udpPort)
  const loaded = loadScenario(scenario)
  const flight = openFlight(loaded)
  const autopilot = await startAutopilot({
    flight,
    home: loaded.home,
    clock,
    log: silentLog,
    startMs: epochMs,
    listen: way.listen,
  })
  const { ground, agent } = writeConfigurations({
    ...options,
    folder,
    brokerPort,
    epochMs,
    endpoint: way.endpoint,
  })
  const processes = [
    start(folder, 'ground-station/bin/kestrel-ground.js', ['start', '--config', ground], 8),
    start(folder, 'agent/bin/kestrel-agent.js', ['run', '--config', agent], 0),
  ]
  const observer = observe(`mqtt://127.0.0.1:${brokerPort}`, observed)
  console.log(`${scenario} for ${minutes} min over ${link}; logs in ${folder}`)
  await waitForVehicle(observed, folder)
  const from = { beats: observed.beatsMs.length, telemetry: observed.telemetry.length }
  const beganMs = performance.now()
  while (performance.now() - beganMs < minutes * 60_000) {
    await clock.sleep(1000)
    const dead = processes.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)
    if (dead !== undefined) throw new Error(`${dead.spawnargs[1]} ended; its log is in ${folder}`)
  }
  for (const child of processes) child.kill('SIGTERM')
  await Promise.all(processes.map(child => once(child, 'exit')))
  await observer.close()
  await autopilot.stop()
  way.close()
  report(options, observed, from)
}

function report(
  { scenario, minutes, link }: { scenario: string; minutes: number; link: string },
  observed: Observed,
  from: { beats: number; telemetry: number },
): void {
  const beats = observed.beatsMs.slice(from.beats)
  const jitter = beats
    .slice(1)
    .map((ms, i) => Math.abs(ms - beats[i] - 1000))
    .toSorted((a, b) => a - b)
  const at = (share: number) => jitter[Math.min(jitter.length - 1, Math.floor(share * jitter.length))]
  const telemetry = observed.telemetry.slice(Math.max(0, from.telemetry - 1))
  const [first, last] = [telemetry[0].value, telemetry[telemetry.length - 1].value]
  const since = (of: (value: Telemetry) => bigint) => Number(of(last) - of(first))
  const frames = since(({ vehicle }) => vehicle?.frames ?? 0n)
  const tagged = since(({ vehicle }) => vehicle?.framesTagged ?? 0n)
  const lost = { near: 0, elsewhere: 0 }
  for (const [i, { atMs, value }] of telemetry.slice(1).entries()) {
    const dropped = Number(value.framesDropped - telemetry[i].value.framesDropped)
    const isNear = observed.swapsMs.some(ms => ms > telemetry[i].atMs - NEAR_MS && ms < atMs + NEAR_MS)
    lost[isNear ? 'near' : 'elsewhere'] += dropped
  }
  const result = {
    bench: 'flight',
    scenario,
    minutes,
    link,
    frames,
    taggedShare: tagged / frames,
    sampled: observed.sampled,
    sampledWithPoseShare: observed.sampledWithPose / observed.sampled,
    heartbeats: beats.length,
    heartbeatJitterP50Ms: at(0.5),
    heartbeatJitterP99Ms: at(0.99),
    heartbeatJitterMaxMs: jitter.at(-1),
    swaps: observed.swapsMs.length,
    updatesRefused: observed.refused,
    lostNearSwaps: lost.near,
    lostElsewhere: lost.elsewhere,
  }
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`
  console.log(`frames with a pose      ${tagged} of ${frames} (${percent(tagged / frames)})`)
  console.log(
    `sampled frames with one ${observed.sampledWithPose} of ${observed.sampled} (${percent(result.sampledWithPoseShare)})`,
  )
  console.log(
    `heartbeat jitter        p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, of ${beats.length}`,
  )
  console.log(
    `frames lost             ${lost.near} within ${NEAR_MS / 1000} s of ${result.swaps} swaps, ${lost.elsewhere} elsewhere`,
  )
  console.log(JSON.stringify(result))
}

function parseOptions(argv: string[]) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: {
      minutes: { ...text, default: '10' },
      link: { ...text, default: 'serial' },
      scenario: { ...text, default: 'valley-to-town' },
      student: { ...text, default: join(root, 'models/student-aerial8-256x144.onnx') },
      fps: { ...text, default: '10' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { scenario, link } = values
  const [minutes, fps] = [Number(values.minutes), Number(values.fps)]
  if (!(minutes > 0) || !(fps > 0)) throw new UserError('--minutes and --fps are numbers above 0')
  if (link !== 'serial' && link !== 'udp') throw new UserError(`--link is "${link}": expected serial or udp`)
  if (!existsSync(values.student)) throw new UserError(`There is no student ${values.student}`)
  return { minutes, fps, scenario, link: link as 'serial' | 'udp', student: resolve(values.student) }
}

interface Way {
  endpoint: string
  listen: AutopilotOptions['listen']
  close(): void
}

/** Notes when the companion's heartbeats come. */
function beats(observed: Observed): (bytes: Uint8Array) => void {
  const reader = new FrameReader()
  return bytes => {
    for (const { from, data } of reader.read(bytes)) {
      if (from.component === 191 && data instanceof minimal.Heartbeat)
        observed.beatsMs.push(performance.now())
    }
  }
}

function overSerial(observed: Observed): Way {
  const hear = beats(observed)
  const cable = serialCable((end, bytes) => {
    if (end === 1) hear(bytes)
  })
  return {
    endpoint: `serial:${cable.ends[1]}:921600`,
    listen: { serial: { path: cable.ends[0], baudRate: 921_600 } },
    close: () => cable.close(),
  }
}

/** A ground station on the same port hears the heartbeats. */
async function overUdp(observed: Observed, port: number): Promise<Way> {
  const hear = beats(observed)
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  socket.on('message', hear)
  const own = message(minimal.Heartbeat, {
    type: minimal.MavType.GCS,
    autopilot: minimal.MavAutopilot.INVALID,
    baseMode: 0 as minimal.MavModeFlag,
    customMode: 0,
    systemStatus: minimal.MavState.ACTIVE,
    mavlinkVersion: 3,
  })
  const timer = setInterval(
    () => socket.send(encode(own, 0, { system: 255, component: 190 }), port, '127.0.0.1'),
    1000,
  )
  return {
    endpoint: `udpin:127.0.0.1:${port}`,
    listen: { udp: { target: { host: '127.0.0.1', port } } },
    close: () => {
      clearInterval(timer)
      socket.close()
    },
  }
}

function writeConfigurations(options: {
  folder: string
  student: string
  scenario: string
  fps: number
  brokerPort: number
  epochMs: number
  endpoint: string
}): { ground: string; agent: string } {
  const { folder, student, scenario, fps, brokerPort, epochMs, endpoint } = options
  const source = `sim:${scenario}?fps=${fps}&size=512x288&epoch=${epochMs}`
  const write = (name: string, value: object) => {
    const file = join(folder, name)
    writeFileSync(file, JSON.stringify(value, null, 2))
    return file
  }
  return {
    ground: write('ground.yaml', {
      listen: { port: brokerPort },
      student,
      teacher: `labels:${source}`,
      stateDir: join(folder, 'ground-state'),
      ams: { updatePeriodS: 10 },
    }),
    agent: write('agent.yaml', {
      drone: 'bench',
      broker: `mqtt://127.0.0.1:${brokerPort}`,
      student,
      stateDir: join(folder, 'agent-state'),
      camera: { source },
      vehicle: { endpoint },
    }),
  }
}

function start(folder: string, bin: string, args: string[], nice: number): ChildProcess {
  const log = createWriteStream(join(folder, `${bin.split('/').at(-1)}.log`))
  const child = spawn(process.execPath, [join(root, bin), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  process.once('exit', () => child.kill('SIGKILL'))
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  if (nice > 0 && child.pid !== undefined) setPriority(child.pid, nice)
  return child
}

function observe(url: string, observed: Observed) {
  const connection = connectMqtt({
    url,
    clientId: 'bench-observer',
    log: silentLog,
    retryMs: { min: 100, max: 500 },
  })
  const take = (_: string, bytes: Uint8Array) => {
    const { payload } = decodeEnvelope(bytes)
    const atMs = performance.now()
    if (payload.case === 'telemetry') observed.telemetry.push({ atMs, value: payload.value })
    else if (payload.case === 'updateResult') {
      if (payload.value.applied) observed.swapsMs.push(atMs)
      else observed.refused += 1
    } else if (payload.case === 'segment') {
      const { frames } = payload.value
      observed.sampled += frames.length
      observed.sampledWithPose += frames.filter(
        ({ pose }) => pose?.positioned && pose.yawRad !== undefined,
      ).length
    }
  }
  for (const what of ['telemetry', 'update-result', 'segment'] as const) {
    connection.subscribe(everyDrone(what), take).catch(() => {})
  }
  return connection
}

/** Until the agent flies with its autopilot; what comes before is not judged. */
async function waitForVehicle(observed: Observed, folder: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  for (;;) {
    const latest = observed.telemetry.at(-1)?.value
    if (latest?.vehicle?.pose?.positioned && latest.frames > 10n) break
    if (performance.now() > deadlineMs)
      throw new UserError(`The flight did not begin; see the logs in ${folder}`)
    await clock.sleep(200)
  }
  observed.sampled = observed.sampledWithPose = 0
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
