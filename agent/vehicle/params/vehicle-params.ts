import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { type Clock, messageOf, UserError } from '@kestrel/runtime'
import { Autopilot } from './autopilot.js'
import { catalogue, filesFor } from './catalogue.js'
import { ParameterClient, type Reading } from './client.js'
import { compare, needsReboot, type Row, table } from './comparison.js'
import type { ParameterLink } from './link.js'
import { formatParameters, type ParameterFile } from './parameter-file.js'

export interface VehicleParamsOptions {
  file: ParameterFile
  apply: boolean
  /** Where the values that will be overwritten are kept; it must not exist. */
  backup?: string
  /** How the autopilot is reached, as messages call it. */
  where: string
  clock: Clock
  link: ParameterLink
  /** The vehicle's MAVLink system id, where several may be heard. */
  system?: number
  print: (text: string) => void
  /** Asks the person at the terminal. @throws UserError where there is none */
  confirm: (question: string) => Promise<boolean>
  /** How long an autopilot is waited for. */
  findMs?: number
}

/** What failed though there was nothing to mend in what was asked. */
export class ParametersFailed extends Error {
  override readonly name = 'ParametersFailed'
}

/**
 * Compares the autopilot's parameters with those of a file, shows the difference and, with `apply`, writes it and reads it back. The link is
 * the caller's to close.
 *
 * @returns whether they are the same in the end
 * @throws UserError where file, options or wiring are to be mended
 * @throws ParametersFailed where the autopilot cannot be written to now
 */
export async function vehicleParams(options: VehicleParamsOptions): Promise<boolean> {
  const { file, clock, link, print, where, findMs = 10_000 } = options
  const autopilot = new Autopilot(link, { clock, system: options.system })
  try {
    await autopilot.find(findMs, where)
    const { address: target, encoding } = autopilot
    print(`${autopilot.firmware.name}, system ${target.system}, on ${where}`)
    const client = new ParameterClient(link, { clock, target, encoding })
    const rows = await readRows(client, autopilot, file)
    report(rows, autopilot, file, print)
    if (rows.every(({ state }) => state === 'same')) return true
    return options.apply ? await apply(rows, { client, autopilot, file, options }) : false
  } finally {
    autopilot.close()
  }
}

interface Session {
  client: ParameterClient
  autopilot: Autopilot
  file: ParameterFile
  options: VehicleParamsOptions
}

async function readRows(client: ParameterClient, autopilot: Autopilot, file: ParameterFile): Promise<Row[]> {
  const readings = await client.read(file.entries.map(({ name }) => name))
  if (!autopilot.present) throw new ParametersFailed('The autopilot has fallen silent: nothing more was done')
  return compare(file.entries, readings, autopilot.encoding)
}

function report(rows: Row[], autopilot: Autopilot, file: ParameterFile, print: (text: string) => void): void {
  const same = rows.filter(({ state }) => state === 'same').length
  print(
    same === rows.length
      ? `All ${same} parameters of ${basename(file.name)} are as they should be`
      : `${same} of ${rows.length} parameters of ${basename(file.name)} are as they should be; these are not:`,
  )
  if (same === rows.length) return
  print(table(rows))
  const missing = rows.filter(({ state }) => state === 'missing').map(({ name }) => name)
  if (missing.length > 0) print(hintOn(missing, autopilot, file))
}

/**
 * Why an autopilot may not know parameters. ArduPilot shows what belongs to NET_ENABLE or NET_P1_TYPE only once these are set and it has been started
 * anew ("Ethernet / Network Setup").
 */
function hintOn(missing: string[], { firmware }: Autopilot, file: ParameterFile): string {
  const all = catalogue()
  const fitting = filesFor(firmware)
  const hidden =
    'hidden until what enables them is set and the autopilot has been rebooted (then run this again), or the board has no such port'
  if (fitting.some(({ path }) => path === file.name)) return `${missing.length} not known: ${hidden}`
  const shipped = all.some(({ path }) => path === file.name)
  const advice =
    fitting.length > 0
      ? `for ${firmware.name} there is ${fitting.map(({ short }) => short).join(' and ')}`
      : `none of the shipped files is for ${firmware.name}: ${all.map(({ short }) => short).join(', ')}`
  return `${missing.length} not known: the file is for another firmware or another version; ${advice}${shipped ? '' : `. Or they are ${hidden}`}`
}

async function apply(before: Row[], session: Session): Promise<boolean> {
  const { autopilot, file, options, client } = session
  const { print } = options
  const changes = before.filter(({ state }) => state === 'differs')
  if (changes.length === 0) {
    print('Nothing was written: what differs cannot be set')
    return false
  }
  refuseArmed(autopilot)
  if (!(await options.confirm(`Write ${changes.length} parameters to the autopilot?`))) {
    print('Nothing was written')
    return false
  }
  if (options.backup !== undefined) keepBackup(options.backup, changes, session)
  await write(changes, session)
  // What was hidden may have come to light by what was enabled.
  let rows = await readRows(client, autopilot, file)
  const came = rows.filter(
    ({ name, state }) =>
      state === 'differs' && before.some(row => row.name === name && row.state === 'missing'),
  )
  if (came.length > 0) {
    await write(came, session)
    rows = await readRows(client, autopilot, file)
  }
  print(`Read back after writing ${changes.length + came.length}:`)
  report(rows, autopilot, file, print)
  const reboot = [...changes, ...came].map(({ name }) => name).filter(needsReboot)
  if (reboot.length > 0) {
    print(`Reboot the autopilot: it reads ${reboot.join(', ')} only when it starts`)
  }
  return rows.every(({ state }) => state === 'same')
}

function refuseArmed(autopilot: Autopilot): void {
  if (autopilot.armed) {
    throw new ParametersFailed('The vehicle is armed: disarm it first, parameters are not written in flight')
  }
}

async function write(changes: Row[], { client, autopilot, options }: Session): Promise<void> {
  for (const [index, { name, wanted, found }] of changes.entries()) {
    const stopped = `${index} of ${changes.length} were written`
    if (autopilot.armed) throw new ParametersFailed(`The vehicle was armed meanwhile: ${stopped}`)
    if (!autopilot.present) throw new ParametersFailed(`The autopilot has fallen silent: ${stopped}`)
    const wish: Reading = { value: wanted, type: found!.type }
    const answer = await client.write(name, wish, () => !autopilot.armed && autopilot.present)
    if (answer === undefined) options.print(`  ${name}: no answer`)
  }
}

function keepBackup(path: string, changes: Row[], { autopilot, file }: Session): void {
  const values = changes.map(({ name, found }) => ({ name, value: found!.value, type: found!.type }))
  const comment = `What ${basename(file.name)} replaced on ${autopilot.firmware.name}`
  try {
    writeFileSync(path, formatParameters(values, file.format, [comment]), { flag: 'wx' })
  } catch (error) {
    throw new UserError(
      `Cannot write the backup ${path}: ${messageOf(error)}. It must be a new file; nothing was sent to the autopilot`,
      { cause: error },
    )
  }
}
