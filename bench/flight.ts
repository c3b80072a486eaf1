import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { raisePriority } from '@kestrel/agent'
import { RealClock, silentLog, UserError } from '@kestrel/runtime'
import { loadScenario, openFlight, startAutopilot } from '@kestrel/simulator'
import { openLine } from './flight-line.js'
import { FlightObserver } from './flight-observer.js'
import { start, writeConfigurations } from './flight-processes.js'
import { reportFlight } from './flight-report.js'
import { freePort, root, stopProcesses } from './processes.js'

const USAGE = `npm run bench -- flight [options]

  --minutes N      (default 10)
  --link KIND      serial or udp: between autopilot and agent (default serial)
  --scenario NAME  that lasts as long (default four-seasons)
  --student FILE   (default models/student-aerial8-256x144.onnx)
  --fps N          of the simulated camera (default 10)

A whole flight of three parties on this machine: the simulator's autopilot, kestrel-agent, and kestrel-ground, which trains on exact
labels and sends updates. Told are the share of frames with a pose, how evenly the agent's heartbeats come, and frames lost near
swaps and elsewhere.`

/** Of the scenario, s: in the air already. */
const BEGIN_S = 30
/** What the three parties need until they fly, s: a frame, a pose, a connection. */
const START_S = 60
const clock = new RealClock()

/** A flight over a serial line or UDP while updates arrive. */
export async function benchFlight(argv: string[]): Promise<void> {
  const options = parseOptions(argv)
  if (options === undefined) return console.log(USAGE)
  const { scenario, minutes, link } = options
  const loaded = loadScenario(scenario)
  const { durationS } = openFlight(loaded)
  if (durationS < BEGIN_S + START_S + 60 * minutes) {
    const longest = Math.floor((durationS - BEGIN_S - START_S) / 60)
    throw new UserError(
      `${scenario} is over after ${longest} min: choose another --scenario or fewer --minutes`,
    )
  }
  // Who measures when heartbeats come must not be late itself.
  raisePriority()
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-bench-flight-'))
  const [brokerPort, udpPort] = [await freePort(), await freePort()]
  const epochMs = Date.now() - 1000 * BEGIN_S + 5000
  const observer = new FlightObserver(`mqtt://127.0.0.1:${brokerPort}`)
  const line = await openLine(link, { udpPort, onBeat: () => observer.beat() })
  const autopilot = await startAutopilot({
    flight: openFlight(loaded),
    home: loaded.home,
    clock,
    log: silentLog,
    startMs: epochMs,
    listen: line.listen,
  })
  const { ground, agent } = writeConfigurations({
    ...options,
    folder,
    brokerPort,
    epochMs,
    endpoint: line.endpoint,
  })
  const processes = [
    start(folder, 'ground-station/bin/kestrel-ground.js', ['start', '--config', ground], 8),
    start(folder, 'agent/bin/kestrel-agent.js', ['run', '--config', agent], 0),
  ]
  console.log(`${scenario} for ${minutes} min over ${link}; logs in ${folder}`)
  await waitForVehicle(observer, folder)
  observer.begin()
  await passes(minutes, processes, folder)
  const observed = await observer.end()
  await stopProcesses(processes)
  await autopilot.stop()
  line.close()
  reportFlight(options, observed)
}

function parseOptions(argv: string[]) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: {
      minutes: { ...text, default: '10' },
      link: { ...text, default: 'serial' },
      scenario: { ...text, default: 'four-seasons' },
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

/** Until the agent flies with its autopilot. */
async function waitForVehicle(observer: FlightObserver, folder: string): Promise<void> {
  const deadlineMs = performance.now() + 180_000
  for (;;) {
    const { latest } = observer
    if (latest?.vehicle?.pose?.positioned && latest.frames > 10n) return
    if (performance.now() > deadlineMs)
      throw new UserError(`The flight did not begin; see the logs in ${folder}`)
    await clock.sleep(200)
  }
}

/** @throws Error where one of the processes ends before its time */
async function passes(minutes: number, processes: ChildProcess[], folder: string): Promise<void> {
  const beganMs = performance.now()
  while (performance.now() - beganMs < minutes * 60_000) {
    await clock.sleep(1000)
    const dead = processes.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)
    if (dead !== undefined) throw new Error(`${dead.spawnargs[1]} ended; its log is in ${folder}`)
  }
}
