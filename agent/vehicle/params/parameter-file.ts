import { readFileSync, statSync } from 'node:fs'
import { messageOf, UserError } from '@kestrel/runtime'
import { fits, NAME_BYTES, paramTypes } from './value.js'

export interface ParameterEntry {
  name: string
  value: number
  /** MAV_PARAM_TYPE, where the file says it. */
  type?: number
  /** In the file, from 1. */
  line: number
}

/** `pairs`: NAME,VALUE as Mission Planner and MAVProxy write it; `columns`: five of them, as QGroundControl does. */
export type ParameterFormat = 'pairs' | 'columns'

export interface ParameterFile {
  /** As it is called in messages. */
  name: string
  format: ParameterFormat
  /** What comments say, without the marks. */
  comments: string[]
  /** In the order of the file, which is the order of writing; names are all different. */
  entries: ParameterEntry[]
}

/** A dump of everything that an autopilot has is about 100 kB. */
const MOST_BYTES = 4 * 1024 * 1024
const AUTOPILOT_COMPONENT = 1

/** @throws UserError that names file and line */
export function readParameterFile(path: string): ParameterFile {
  let text: string
  try {
    if (statSync(path).size > MOST_BYTES) throw new Error(`larger than ${MOST_BYTES / 1024 / 1024} MB`)
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new UserError(`Cannot read the parameter file ${path}: ${messageOf(error)}`, { cause: error })
  }
  return parseParameterFile(text, path)
}

/** @param name what the text is called in messages @throws UserError that names it and the line */
export function parseParameterFile(text: string, name: string): ParameterFile {
  const comments: string[] = []
  const entries: ParameterEntry[] = []
  const lines = new Map<string, number>()
  let format: ParameterFormat | undefined
  for (const [index, whole] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = index + 1
    const content = whole.trim()
    if (content.startsWith('#')) comments.push(content.replace(/^#+ ?/, ''))
    if (content === '' || content.startsWith('#')) continue
    const refuse = (reason: string): never => {
      throw new UserError(`${name}, line ${line}: ${reason}. The line is "${shorten(content)}"`)
    }
    // A comment may follow; Mission Planner would pass over such a line.
    const fields = content.replace(/\s+#.*$/, '').split(/[\s,]+/)
    const found = fields.length === 5 ? 'columns' : 'pairs'
    if (fields.length !== 2 && fields.length !== 5) {
      refuse(
        'expected NAME,VALUE or five columns: vehicle id, component id, name, value, type, separated by tabs',
      )
    }
    format ??= found
    if (format !== found) refuse(`expected ${columnsOf(format)} as in the lines before`)
    const entry = found === 'columns' ? readColumns(fields, line, refuse) : readPair(fields, line, refuse)
    const before = lines.get(entry.name)
    if (before !== undefined) refuse(`${entry.name} stands in line ${before} already`)
    lines.set(entry.name, line)
    entries.push(entry)
  }
  if (format === undefined)
    throw new UserError(`${name} has no parameters: expected lines such as SERIAL2_BAUD,921`)
  return { name, format, comments, entries }
}

/** The text of a parameter file. @param values types are needed for `columns` */
export function formatParameters(
  values: { name: string; value: number; type: number }[],
  format: ParameterFormat,
  comments: string[] = [],
): string {
  const lines = values.map(({ name, value, type }) =>
    format === 'pairs' ? `${name},${value}` : `1\t${AUTOPILOT_COMPONENT}\t${name}\t${value}\t${type}`,
  )
  return [...comments.map(comment => `# ${comment}`), ...lines, ''].join('\n')
}

type Refuse = (reason: string) => never

function readPair([name, value]: string[], line: number, refuse: Refuse): ParameterEntry {
  return { name: readName(name, refuse), value: readValue(value, refuse), line }
}

function readColumns(
  [, component, name, value, type]: string[],
  line: number,
  refuse: Refuse,
): ParameterEntry {
  if (Number(component) !== AUTOPILOT_COMPONENT) {
    refuse(
      `expected component id ${AUTOPILOT_COMPONENT}, the autopilot: those of other components cannot be set here`,
    )
  }
  const entry = {
    name: readName(name, refuse),
    value: readValue(value, refuse),
    type: Number(type),
    line,
  }
  const known = Object.entries(paramTypes).map(([number, { name }]) => `${number} (${name})`)
  if (paramTypes[entry.type] === undefined) refuse(`expected a type in the last column: ${known.join(', ')}`)
  if (!fits(entry.value, entry.type)) {
    refuse(`${value} is no value of type ${entry.type} (${paramTypes[entry.type].name})`)
  }
  return entry
}

function readName(text: string, refuse: Refuse): string {
  if (text.length > NAME_BYTES) refuse(`a name has ${NAME_BYTES} characters at most`)
  if (!/^[A-Z_][A-Z0-9_]*$/.test(text)) {
    refuse('expected a name of capital letters, digits and underscores, such as SERIAL2_BAUD')
  }
  return text
}

function readValue(text: string, refuse: Refuse): number {
  const value = Number(text)
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) || !Number.isFinite(Math.fround(value))) {
    refuse('expected a number as the value')
  }
  return value
}

function columnsOf(format: ParameterFormat): string {
  return format === 'pairs' ? 'NAME,VALUE' : 'five columns'
}

function shorten(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?')
  return printable.length > 60 ? `${printable.slice(0, 60)}…` : printable
}
