import { createInterface } from 'node:readline/promises'
import { endpointHelp } from '@kestrel/link/mavlink'
import { RealClock, silentLog, UserError } from '@kestrel/runtime'
import { Command } from 'commander'
import { catalogueHelp, findParameterFile } from '../vehicle/params/catalogue.js'
import { openParameterLink } from '../vehicle/params/link.js'
import { ParametersFailed, vehicleParams } from '../vehicle/params/vehicle-params.js'

/** Exit codes of `vehicle params`. */
const SAME = 0
const DIFFERS = 1
const TO_MEND = 2

interface ParamsOptions {
  check?: boolean
  apply?: boolean
  file: string
  connect: string
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
    .requiredOption('--connect <endpoint>', `where the autopilot is: ${endpointHelp}`)
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

  kestrel-agent vehicle params --check --file copter-4.6-serial --connect serial:/dev/ttyAMA0:57600
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
    const link = await openParameterLink(options.connect, { clock, log: silentLog })
    try {
      const same = await vehicleParams({
        file,
        apply: options.apply ?? false,
        backup: options.backup,
        where: options.connect,
        clock,
        link,
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

async function confirm(question: string, yes: boolean): Promise<boolean> {
  if (yes) return true
  if (!process.stdin.isTTY) {
    throw new UserError('there is no terminal to ask on: add --yes to write without being asked')
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    const answer = await terminal.question(`${question} [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}
