import type { Reading } from './client.js'
import type { ParameterEntry } from './parameter-file.js'
import { type Encoding, fits, paramTypes, sameValue } from './value.js'

/** One parameter of the file beside that of the autopilot. */
export interface Row {
  name: string
  wanted: number
  /** Undefined where the autopilot does not know it. */
  found: Reading | undefined
  /** `unfit`: the autopilot's type cannot have the file's value. */
  state: 'same' | 'differs' | 'missing' | 'unfit'
}

export function compare(
  entries: ParameterEntry[],
  readings: Map<string, Reading>,
  encoding: Encoding,
): Row[] {
  return entries.map(({ name, value: wanted }) => {
    const found = readings.get(name)
    return { name, wanted, found, state: stateOf(wanted, found, encoding) }
  })
}

function stateOf(wanted: number, found: Reading | undefined, encoding: Encoding): Row['state'] {
  if (found === undefined) return 'missing'
  if (!fits(wanted, found.type)) return 'unfit'
  return sameValue(found.value, wanted, found.type, encoding) ? 'same' : 'differs'
}

/** Read only when the autopilot starts; its documentation says so ("Reboot required"), MAVLink does not. */
const readAtStart = [
  // ArduPilot: "RebootRequired: True" in its parameter list, or, as for SERIALn_BAUD, read when the port is opened.
  /^SERIAL\d+_(PROTOCOL|BAUD|OPTIONS)$/,
  /^BRD_SER\d_RTSCTS$/,
  /^SR\d_/,
  /^MAV\d+_/,
  /^NET_/,
  // PX4: "Reboot required" in its parameter reference.
  /^MAV_\d_(CONFIG|MODE|RATE|FORWARD|RADIO_CTL|UDP_PRT|REMOTE_PRT|FLOW_CTRL)$/,
  /^SER_\w+_BAUD$/,
]

export function needsReboot(name: string): boolean {
  return readAtStart.some(pattern => pattern.test(name))
}

/** Those which are not the same, as a table; the same are only counted. */
export function table(rows: Row[]): string {
  const shown = rows.filter(({ state }) => state !== 'same')
  const lines = [
    ['parameter', 'autopilot', 'file', ''],
    ...shown.map(row => [row.name, text(row.found?.value), text(row.wanted), remarkOn(row)]),
  ]
  const widths = [0, 1, 2].map(column => Math.max(...lines.map(cells => cells[column].length)))
  return lines
    .map(cells =>
      [cells[0].padEnd(widths[0]), cells[1].padStart(widths[1]), cells[2].padStart(widths[2]), cells[3]]
        .join('  ')
        .trimEnd(),
    )
    .map(line => `  ${line}`)
    .join('\n')
}

function remarkOn({ name, state, found }: Row): string {
  if (state === 'missing') return 'not known to the autopilot'
  if (state === 'unfit') return `no value of its type, ${paramTypes[found!.type]?.name ?? found!.type}`
  return needsReboot(name) ? 'after a reboot' : ''
}

/** As few digits as tell the float from its neighbours. */
function text(value: number | undefined): string {
  if (value === undefined) return '-'
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(7)))
}
