import type { SeriesData } from '../api.js'
import { html, type Markup } from './markup.js'

export const colours = ['#0a5cad', '#b3471d', '#116329', '#7c2d92', '#6b7280']

const WIDTH = 520
const HEIGHT = 150
const LEFT = 44
const BOTTOM = 20
const TOP = 6
const RIGHT = 8

/** Steps longer than this many usual ones are gaps. */
const GAP = 8
const LEAST_GAP_MS = 5000

/** Curves of one quantity as SVG: time from the flight's beginning in minutes. */
export function plot(options: {
  title: string
  unit: string
  lines: { label: string; data: SeriesData }[]
  beginMs: number
  endMs: number
  markersMs: number[]
}): Markup {
  const { title, unit, lines, beginMs, endMs, markersMs } = options
  const all = lines.flatMap(({ data }) => [...data.values, ...(data.min ?? []), ...(data.max ?? [])])
  const [low, high] = room(all)
  const x = (ms: number) => LEFT + ((ms - beginMs) / Math.max(1, endMs - beginMs)) * (WIDTH - LEFT - RIGHT)
  const y = (value: number) => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - BOTTOM - TOP)
  const minutes = (endMs - beginMs) / 60_000
  return html`<figure class="plot"><figcaption><b>${title}</b>${unit === '' ? '' : `, ${unit}`} ${lines.map(
    ({ label }, i) =>
      html`<span><svg width="16" height="8"><line x1="0" x2="16" y1="4" y2="4" stroke="${colours[i % colours.length]}" stroke-width="3"/></svg> ${label}</span>`,
  )}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
${ticks(low, high, 4).map(
  value =>
    html`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${one(y(value))}" y2="${one(y(value))}" class="grid"/><text x="${LEFT - 5}" y="${one(y(value) + 3.5)}" text-anchor="end">${short(value)}</text>`,
)}${ticks(0, minutes, 6).map(
  value =>
    html`<text x="${one(x(beginMs + value * 60_000))}" y="${HEIGHT - 5}" text-anchor="middle">${short(value)} min</text>`,
)}${markersMs.map(ms => html`<line x1="${one(x(ms))}" x2="${one(x(ms))}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" class="mark"/>`)}
${lines.map(
  ({ data }, i) =>
    html`<path d="${path(data, x, y)}" fill="none" stroke="${colours[i % colours.length]}" stroke-width="1.6" stroke-linejoin="round"/>`,
)}</svg></figure>`
}

function path(
  { timesMs, values, min, max }: SeriesData,
  x: (ms: number) => number,
  y: (value: number) => number,
): string {
  const steps = timesMs
    .slice(1)
    .map((ms, i) => ms - timesMs[i])
    .sort((a, b) => a - b)
  const gap = Math.max(LEAST_GAP_MS, GAP * (steps[Math.floor(steps.length / 2)] ?? 0))
  return timesMs
    .map((ms, i) => {
      const move = i === 0 || ms - timesMs[i - 1] > gap ? 'M' : 'L'
      const [low, high] = [min?.[i] ?? values[i], max?.[i] ?? values[i]]
      const stroke = high === low ? '' : `V${one(y(high))}`
      return `${move}${one(x(ms))} ${one(y(low))}${stroke}`
    })
    .join('')
}

/** What the axis shows: a little more than the values. */
function room(values: number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  if (high < low) return [0, 1]
  const margin = high > low ? 0.06 * (high - low) : Math.max(0.5, 0.1 * Math.abs(high))
  return [low >= 0 && low < margin * 4 ? 0 : low - margin, high + margin]
}

/** Round values between two bounds, about so many. */
export function ticks(low: number, high: number, count: number): number[] {
  const least = Math.max(Number.MIN_VALUE, (high - low) / count)
  const power = 10 ** Math.floor(Math.log10(least))
  const step = [1, 2, 5, 10].map(factor => factor * power).find(one => one >= least * 0.999)!
  const first = Math.ceil(low / step)
  const total = Math.floor(high / step) - first + 1
  return Array.from({ length: Math.max(0, Math.min(20, total)) }, (_, i) => (first + i) * step)
}

function one(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)))
}
