import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { Recording } from '../recording.js'

/** Of a series: flights of hours at ten samples a second are written whole. */
const POINTS = 200_000
/** Series of one file of an autopilot: it has up to thousands. */
const MOST_SERIES = 400

/** Every series on one axis of time, from the messages themselves: a row for each moment at which one has a sample, empty cells for the others. */
export async function writeCsv(recording: Recording, out: string): Promise<string[]> {
  const view = await recording.view()
  const names = view.series.map(({ name }) => name).slice(0, MOST_SERIES)
  const rows = new Map<number, string[]>()
  for (const [column, name] of names.entries()) {
    // Not the overview that a plot of the whole flight shows.
    const stretch = { fromMs: view.beginMs + 0.001, toMs: view.endMs }
    const [first] = await recording.series({
      names: [name],
      fromMs: view.beginMs,
      toMs: view.beginMs,
      maxPoints: 2,
    })
    const [rest] = await recording.series({ names: [name], ...stretch, maxPoints: POINTS })
    for (const { timesMs, values } of [first, rest]) {
      for (const [i, ms] of timesMs.entries()) {
        const row = rows.get(ms) ?? new Array<string>(names.length).fill('')
        row[column] = String(values[i])
        rows.set(ms, row)
      }
    }
  }
  const file = createWriteStream(out)
  const done = finished(file)
  const units = new Map(view.series.map(({ name, unit }) => [name, unit]))
  const heads = names.map(name => (units.get(name) ? `${name} [${units.get(name)}]` : name))
  file.write(`${['time [UTC]', 'since begin [s]', ...heads].map(quoted).join(',')}\n`)
  const times = [...rows.keys()].sort((a, b) => a - b)
  for (const ms of times) {
    const line = `${new Date(ms).toISOString()},${((ms - view.beginMs) / 1000).toFixed(3)},${rows.get(ms)!.join(',')}\n`
    if (!file.write(line)) await new Promise<void>(resolve => file.once('drain', () => resolve()))
  }
  file.end()
  await done
  const left = view.series.length - names.length
  return [
    `${out}: ${times.length} rows of ${names.length} series${left > 0 ? `; ${left} more series are left out` : ''}`,
  ]
}

function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
