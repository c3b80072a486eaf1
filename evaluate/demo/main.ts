import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { readStudentFile } from '@kestrel/models'
import { stopSignal, UserError } from '@kestrel/runtime'
import { loadScenario, openFlight } from '@kestrel/simulator'
import { CommanderError } from 'commander'
import { Crew, type Member } from './crew.js'
import { freePort } from './free-port.js'
import { Judge } from './judge.js'
import { LinkObserver } from './link-observer.js'
import { type DemoOptions, readOptions } from './options.js'
import { offerReview } from './review.js'
import { Screen } from './screen.js'
import { VehicleObserver } from './vehicle-observer.js'

// `npm run demo`: three processes, and an eye on them.

const root = resolve(import.meta.dirname, '../../..')

/** From the start of the processes to the moment where the flight begins, s: they take that long to be there. */
const LEAD_S = 3

/** Less of a flight shows nothing, s. */
const LEAST_S = 30

/** Of the simulated camera. Drawing takes a good part of one core. */
const CAMERA = 'fps=6&size=384x216'

async function main(argv: string[]): Promise<number> {
  const options = await readOptions(argv, root)
  if (options === undefined) return 0
  const screen = new Screen({ live: process.stdout.isTTY && !options.headless })
  rmSync(options.out, { recursive: true, force: true })
  mkdirSync(options.out, { recursive: true })
  const student = readStudentFile(options.student!)
  const vehicle = new VehicleObserver()
  const ports = {
    vehiclePort: await vehicle.start(),
    autopilotPort: await freePort(),
    brokerPort: await freePort(),
    dashboardPort: await freePort(),
  }
  const plan = writePlan(options, ports)
  const totalS = Math.min(60 * options.minutes, plan.leftS)

  const crew = new Crew({
    root,
    dir: options.out,
    onLost: ({ name }, how, command) =>
      screen.say(
        `${name} has ended (${how}); the others go on. Start it again in another terminal with\n  ${command}`,
      ),
  })
  const judge = new Judge({
    student,
    source: plan.source,
    teacher: plan.teacher,
    weights: join(options.out, 'agent-state/weights'),
    durationS: totalS,
  })
  const link = new LinkObserver({ url: plan.url, onApplied: version => judge.follow(version) })
  screen.say(`${plan.what}. Logs and configurations: ${relative(process.cwd(), options.out) || '.'}`)
  const beganMs = performance.now()
  for (const member of plan.members) {
    crew.start(member)
    screen.say(`  ${member.name} (process ${crew.pid(member.name)})`)
  }
  screen.say(`Watch it in a browser: http://127.0.0.1:${ports.dashboardPort}`)
  await judge.start()

  const stopping = stopSignal()
  const elapsedS = () => (performance.now() - beganMs) / 1000
  while (elapsedS() < totalS && !stopping.aborted) {
    await new Promise(done => setTimeout(done, 1000))
    const groundSays = crew.lastLine('ground-station')
    screen.update({ link, vehicle, judge, groundSays, elapsedS: elapsedS(), totalS })
  }
  const flownS = elapsedS()
  await judge.stop()
  await crew.stop()
  await link.close()
  vehicle.stop()
  const interrupted = stopping.aborted
  const code = report(options, screen, { judge, link, beganMs, flownS, interrupted })
  await offerReview({
    ...{ root, logs: join(options.out, 'logs'), screen },
    open: process.stdout.isTTY && !options.headless && !interrupted,
  })
  return code
}

interface Plan {
  what: string
  url: string
  /** Of the camera. */
  source: string
  teacher: string
  /** Until the flight is over, s. */
  leftS: number
  members: Member[]
}

/** Configurations as a user would write them, and who runs with which. */
function writePlan(
  options: DemoOptions,
  ports: { vehiclePort: number; autopilotPort: number; brokerPort: number; dashboardPort: number },
): Plan {
  const { scenario, video, out, student } = options
  const leftS = video === undefined ? leftOf(scenario, options.from) : Number.POSITIVE_INFINITY
  const epoch = Date.now() + 1000 * (LEAD_S - options.from)
  const source = video === undefined ? `sim:${scenario}?${CAMERA}&epoch=${epoch}` : resolve(video)
  const teacher = options.teacher === undefined ? `labels:${source}` : absolute(options.teacher)
  const url = `mqtt://127.0.0.1:${ports.brokerPort}`
  const write = (name: string, value: object): string => {
    const file = join(out, name)
    // JSON is YAML too.
    writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
    return file
  }
  const ground = write('ground.yaml', {
    listen: { port: ports.brokerPort },
    dashboard: { port: ports.dashboardPort },
    student,
    teacher,
    stateDir: join(out, 'ground-state'),
    logs: { dir: join(out, 'logs') },
    ams: { updatePeriodS: 10 },
  })
  const agent = write('agent.yaml', {
    drone: 'demo',
    broker: url,
    student,
    stateDir: join(out, 'agent-state'),
    logs: { dir: join(out, 'logs') },
    // Footage has no autopilot.
    ...(video === undefined && { vehicle: { endpoint: `tcp:127.0.0.1:${ports.autopilotPort}` } }),
    camera: { source, loop: video !== undefined },
  })
  const fly: Member = {
    name: 'simulator',
    bin: 'simulator/bin/kestrel-sim.js',
    args: [
      ...['fly', scenario, '--epoch', String(epoch)],
      // For whoever looks on, and for the agent.
      ...['--mavlink-udp', `127.0.0.1:${ports.vehiclePort}`],
      ...['--mavlink-tcp', `127.0.0.1:${ports.autopilotPort}`],
    ],
    nice: 0,
  }
  const members: Member[] = [
    ...(video === undefined ? [fly] : []),
    {
      name: 'ground-station',
      bin: 'ground-station/bin/kestrel-ground.js',
      args: ['start', '--config', ground],
      nice: 8,
    },
    { name: 'agent', bin: 'agent/bin/kestrel-agent.js', args: ['run', '--config', agent], nice: 0 },
  ]
  const what =
    video === undefined
      ? `${scenario}, from second ${options.from} of the flight: the simulator, the ground station (its teacher: ${options.teacher ?? 'the exact labels'}) and the agent start`
      : `${video}, labelled by ${options.teacher}: the ground station and the agent start`
  return { what, url, source, teacher, leftS, members }
}

/** @throws UserError where hardly anything of the flight is left */
function leftOf(scenario: string, fromS: number): number {
  const { durationS } = openFlight(loadScenario(scenario))
  if (durationS - fromS >= LEAST_S) return durationS - fromS
  throw new UserError(
    `--from ${fromS}: the flight ${scenario} takes ${durationS.toFixed(0)} s, and the demo at least ${LEAST_S} s of it`,
  )
}

function absolute(teacher: string): string {
  return teacher.startsWith('labels:')
    ? `labels:${resolve(teacher.slice('labels:'.length))}`
    : resolve(teacher)
}

function report(
  options: DemoOptions,
  screen: Screen,
  flight: { judge: Judge; link: LinkObserver; beganMs: number; flownS: number; interrupted: boolean },
): number {
  const { judge, link, beganMs, flownS, interrupted } = flight
  const { adapting, frozen } = judge.whole()
  const first = link.firstAppliedMs === undefined ? undefined : (link.firstAppliedMs - beganMs) / 1000
  const summary = {
    updatesApplied: link.updatesApplied,
    miouAdapting: adapting,
    miouFrozen: frozen,
    framesDropped: link.framesDropped,
    latencyP50Ms: link.latencyP50Ms,
    uplinkKbps: (8 * link.bytes.up) / flownS / 1000,
    downlinkKbps: (8 * link.bytes.down) / flownS / 1000,
    secondsToFirstUpdate: first,
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(summary, null, 2)}\n`)
  const figure = (value: number | undefined) => (value === undefined ? 'unknown' : `${value.toFixed(1)} %`)
  const gain =
    adapting === undefined || frozen === undefined
      ? ''
      : ` (${(adapting - frozen).toFixed(1)} points of difference)`
  screen.say(
    [
      '',
      `Flown ${flownS.toFixed(0)} s${interrupted ? ', then interrupted' : ''}. mIoU over the flight: ${figure(adapting)} with learning, ${figure(frozen)} without${gain}.`,
      first === undefined
        ? 'No update was applied.'
        : `${link.updatesApplied} updates, the first after ${first.toFixed(0)} s; on average ${summary.uplinkKbps.toFixed(0)} kbit/s up and ${summary.downlinkKbps.toFixed(0)} kbit/s down.`,
      `Logs, configurations and what was learned: ${relative(process.cwd(), options.out) || '.'}`,
    ].join('\n'),
  )
  return interrupted ? 130 : link.updatesApplied > 0 ? 0 : 1
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2)
  if (!(error instanceof UserError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(2)
}
