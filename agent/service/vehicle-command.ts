import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { endpointHelp, loadSigningKey, Signing } from '@kestrel/link/mavlink'
import { type Clock, RealClock, silentLog, UserError } from '@kestrel/runtime'
import { Command } from 'commander'
import { catalogueHelp, findParameterFile } from '../vehicle/params/catalogue.js'
import { openParameterLink } from '../vehicle/params/link.js'
import { ParametersFailed, vehicleParams } from '../vehicle/params/vehicle-params.js'
import { diskSigningStore } from '../vehicle/signing-store.js'
import { loadAgentConfig } from './config.js'

/** Exit codes of `vehicle params`. */
const SAME = 0
const DIFFERS = 1
const TO_MEND = 2

interface ParamsOptions {
  check?: boolean
  apply?: boolean
  file: string
  connect?: string
  config?: string
  yes?: boolean
  backup?: string
}

/** `kestrel-agent vehicle …`. @param setCode is given the exit code */
export function vehicleCommand(setCode: (code: number) => void): Command {
  const vehicle = new Command('vehicle').description('the autopilot: see its own --help').exitOverride()
  vehicle
    .command('params')
    .description("compare the autopilot's parameters with a file, and set them")
    .exitOverride()
    .option('--check', 'show what differs; nothing is written')
    .option('--apply', 'show what differs, ask, write it and read it back')
    .requiredOption(
      '--file <file>',
      'a parameter file (.param or .params), or the short name of a shipped one',
    )
    .option('--connect <endpoint>', `where the autopilot is: ${endpointHelp}`)
    .option('--config <file>', 'agent.yaml, whose vehicle section says where it is, and its signing key')
    .option('--yes', 'write without asking, for scripts')
    .option(
      '--backup <file>',
      'keep the values that --apply replaces in a new file, which --apply takes back',
    )
    .addHelpText(
      'after',
      () => `
Shipped files, by short name (wiring, and each line explained: firmware-config/README.md):
${catalogueHelp()}

  kestrel-agent vehicle params --check --file copter-4.6-serial --config agent.yaml
  kestrel-agent vehicle params --apply --file copter-4.6-serial --connect udpin:0.0.0.0:14550 --backup before.param

Nothing is written while the vehicle is armed. A second --apply writes nothing.
Exit code 0: the same; 1: something differs, or writing failed; 2: something to mend, the message says what.`,
    )
    .action(async (options: ParamsOptions) => setCode(await params(options)))
  return vehicle
}

async function params(options: ParamsOptions): Promise<number> {
  try {
    if ((options.check ?? false) === (options.apply ?? false)) {
      throw new UserError('expected --check or --apply, one of them')
    }
    const file = findParameterFile(options.file)
    const clock = new RealClock()
    const { endpoint, system, signing } = reach(options, clock)
    const link = await openParameterLink(endpoint, { clock, log: silentLog, signing })
    try {
      const same = await vehicleParams({
        file,
        apply: options.apply ?? false,
        backup: options.backup,
        where: endpoint,
        clock,
        link,
        system,
        print: text => process.stdout.write(`${text}\n`),
        confirm: question => confirm(question, options.yes ?? false),
      })
      return same ? SAME : DIFFERS
    } finally {
      await link.close()
    }
  } catch (error) {
    if (!(error instanceof UserError || error instanceof ParametersFailed)) throw error
    process.stderr.write(`kestrel-agent: ${error.message}\n`)
    return error instanceof UserError ? TO_MEND : DIFFERS
  }
}

/** How the autopilot is reached. @throws UserError where neither option says it */
function reach(
  { connect, config: file }: ParamsOptions,
  clock: Clock,
): { endpoint: string; system?: number; signing?: Signing } {
  const config = file === undefined ? undefined : loadAgentConfig(file)
  const { vehicle } = config ?? {}
  const endpoint = connect ?? vehicle?.endpoint
  if (endpoint === undefined) {
    throw new UserError(
      `expected --connect ENDPOINT, or --config with a vehicle section: where the autopilot is, such as ${endpointHelp}`,
    )
  }
  if (config === undefined || vehicle?.signingKey === undefined) return { endpoint, system: vehicle?.system }
  // Beside that of the agent, whose component signs a stream of its own.
  const store = diskSigningStore(join(config.stateDir, 'mavlink-signing-params'), silentLog)
  const key = loadSigningKey(vehicle.signingKey)
  const signing = new Signing({ key, linkId: vehicle.signingLink, clock, store })
  return { endpoint, system: vehicle.system, signing }
}

async function confirm(question: string, yes: boolean): Promise<boolean> {
  if (yes) return true
  if (!process.stdin.isTTY) {
    throw new UserError('there is no terminal to ask on: add --yes to write without being asked')
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    // Ctrl-D closes it without an answer, Ctrl-C is an error.
    const closed = once(terminal, 'close').then(() => '')
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed]).catch(() => '')
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}
