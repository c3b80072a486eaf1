import type { Address } from '@kestrel/link/mavlink'
import type { Clock, Log } from '@kestrel/runtime'
import { RealClock, UserError } from '@kestrel/runtime'
import { Command, InvalidArgumentError } from 'commander'
import { type AutopilotOptions, startAutopilot } from '../autopilot/autopilot.js'
import type { Home } from '../autopilot/geodesy.js'
import { planFlight } from '../mission/plan.js'
import type { Mission } from '../mission/schema.js'
import type { GroundHeight } from '../vehicle-state.js'

/** What of a scenario an autopilot needs. */
export interface FlownScenario {
  name: string
  seed: number | string
  mission: Mission
  home: Home
  groundHeight: GroundHeight
}

export interface FlyOptions {
  mavlinkUdp?: Address
  mavlinkTcp?: Address
  serial?: string
  baud?: number
  /** Seconds of the flight that are over at the start. */
  from?: number
  /** Unix time, ms, at which the flight's time is 0; instead of `from`, so that a camera elsewhere sees the same moment. */
  epoch?: number
  /** Seconds of flight in a second. */
  speed?: number
}

/** A vehicle that has landed is still heard for this long, s of the clock. */
const lingerS = 5

/**
 * `kestrel-sim fly`: the autopilot of a scenario without its camera, until the flight is over or `signal` aborts.
 *
 * @throws UserError where an address or device cannot be had, or the flight was over before it began
 */
export async function fly(
  scenario: FlownScenario,
  options: FlyOptions,
  { clock = new RealClock(), log, signal }: { clock?: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  const { from = 0, speed = 1 } = options
  const { name, mission, home, groundHeight, seed } = scenario
  const flight = planFlight(mission, { groundHeight, seed })
  const startMs = options.epoch ?? clock.nowMs() - (from * 1000) / speed
  const timeS = () => ((clock.nowMs() - startMs) / 1000) * speed
  if (timeS() >= flight.durationS) {
    const length = flight.durationS.toFixed(0)
    throw new UserError(
      `The flight of ${name} takes ${length} s: begin earlier than at ${timeS().toFixed(0)} s`,
    )
  }
  const autopilot = await startAutopilot({
    flight,
    home,
    clock,
    log,
    startMs,
    speed,
    listen: waysOf(options),
  })
  try {
    log.info(`${name}: a flight of ${flight.durationS.toFixed(0)} s begins at ${timeS().toFixed(0)} s`)
    let phase = ''
    while (!signal.aborted && timeS() < flight.durationS + lingerS * speed) {
      const state = flight.stateAt(timeS())
      if (state.phase !== phase) log.info(`${timeS().toFixed(0)} s: ${state.phase}`)
      phase = state.phase
      await clock.sleep(Math.min(1000, 1000 / speed), signal)
    }
  } finally {
    await autopilot.stop()
  }
}

/** Without any way out given it speaks to where ground stations listen by default, as SITL does. */
function waysOf({ mavlinkUdp, mavlinkTcp, serial, baud }: FlyOptions): AutopilotOptions['listen'] {
  const isNone = mavlinkUdp === undefined && mavlinkTcp === undefined && serial === undefined
  const target = isNone ? { host: '127.0.0.1', port: 14_550 } : mavlinkUdp
  return {
    udp: target && { target },
    tcp: mavlinkTcp,
    serial: serial === undefined ? undefined : { path: serial, baudRate: baud },
  }
}

/**
 * The command, to be added to the program.
 *
 * @param load finds a scenario by its name or file
 * @param run is called with what is to be done; it owns signals, log and exit code
 */
export function flyCommand(
  load: (scenario: string) => FlownScenario | Promise<FlownScenario>,
  run: (task: (log: Log, signal: AbortSignal) => Promise<void>) => Promise<void>,
): Command {
  return new Command('fly')
    .description('fly the mission of a scenario and speak MAVLink 2 as ArduCopter does')
    .argument('<scenario>', 'name of a scenario, or its YAML file')
    .option('--mavlink-udp <host:port>', 'send to a ground station, and answer it', parseAddress)
    .option(
      '--mavlink-tcp <[host:]port>',
      'serve any number of ground stations, such as on 5760',
      parseAddress,
    )
    .option('--serial <path>', 'speak on a serial device or pseudo-terminal')
    .option('--baud <rate>', 'rate of the serial device', parsePositive, 115_200)
    .option('--from <seconds>', 'begin in the middle of the flight', parsePositive, 0)
    .option(
      '--epoch <unix-ms>',
      "Unix time of the flight's beginning, shared with a camera elsewhere",
      parsePositive,
    )
    .option('--speed <factor>', 'seconds of flight in a second', parseSpeed, 1)
    .addHelpText(
      'after',
      '\nWithout --mavlink-udp, --mavlink-tcp and --serial it sends to udp 127.0.0.1:14550.',
    )
    .action((name: string, options: FlyOptions) =>
      run(async (log, signal) => fly(await load(name), options, { log, signal })),
    )
}

/** `host:port`, or a port of this machine. */
export function parseAddress(text: string): Address {
  const [, host = '127.0.0.1', digits] = /^(?:(.+):)?(\d+)$/.exec(text) ?? []
  const port = Number(digits)
  if (!(port >= 1 && port <= 65_535)) {
    throw new InvalidArgumentError(`expected host:port, such as 127.0.0.1:14550, found "${text}"`)
  }
  return { host, port }
}

function parsePositive(text: string): number {
  const value = Number(text)
  if (!(value >= 0 && Number.isFinite(value)) || text.trim() === '') {
    throw new InvalidArgumentError(`expected a number of at least 0, found "${text}"`)
  }
  return value
}

function parseSpeed(text: string): number {
  const value = parsePositive(text)
  if (value < 0.1 || value > 100) {
    throw new InvalidArgumentError(`expected a factor of 0.1 to 100, found "${text}"`)
  }
  return value
}
