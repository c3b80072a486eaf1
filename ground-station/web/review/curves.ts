import type { SeriesData, SeriesInfo } from './data.js'

/** A line through more than this many usual steps would pretend that something was measured in between. */
const GAP = 8
/** Steps below this are never a gap, s. */
const LEAST_GAP_S = 5

/** What a plot takes: times (s) that all curves share, and their values; undefined where another curve has a time, null in a gap. */
export interface Curves {
  times: number[]
  values: (number | null | undefined)[][]
}

interface Line {
  times: number[]
  values: (number | null)[]
}

/** Curves on one axis of time. Points that stand for many samples become a stroke from the least to the greatest of them. */
export function align(all: SeriesData[], shiftMs = 0): Curves {
  const lines = all.map(series => withGaps(strokes(series, shiftMs)))
  const times = [...new Set(lines.flatMap(line => line.times))].sort((a, b) => a - b)
  const at = new Map(times.map((time, i) => [time, i]))
  const values = lines.map(line => {
    const column: (number | null | undefined)[] = new Array(times.length).fill(undefined)
    line.times.forEach((time, i) => {
      column[at.get(time)!] = line.values[i]
    })
    return column
  })
  return { times, values }
}

function strokes({ timesMs, values, min, max }: SeriesData, shiftMs: number): Line {
  const line: Line = { times: [], values: [] }
  timesMs.forEach((ms, i) => {
    const second = (ms + shiftMs) / 1000
    const [low, high] = [min?.[i] ?? values[i], max?.[i] ?? values[i]]
    line.times.push(second)
    line.values.push(low)
    if (high === low) return
    // Times of one axis are unique: the other end stands a little later.
    line.times.push(second + 1e-3)
    line.values.push(high)
  })
  return line
}

function withGaps({ times, values }: Line): Line {
  const steps = times.slice(1).map((time, i) => time - times[i])
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0
  const gap = Math.max(LEAST_GAP_S, GAP * usual)
  const out: Line = { times: [], values: [] }
  times.forEach((time, i) => {
    if (i > 0 && time - times[i - 1] > gap) {
      out.times.push((time + times[i - 1]) / 2)
      out.values.push(null)
    }
    out.times.push(time)
    out.values.push(values[i])
  })
  return out
}

/** The value at a moment: that of the last sample until then; undefined before the first, and long after the last. */
export function valueAt(series: SeriesData | undefined, ms: number): number | undefined {
  if (series === undefined) return undefined
  const { timesMs, values } = series
  let [low, high] = [0, timesMs.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (timesMs[middle] <= ms) low = middle + 1
    else high = middle
  }
  return low === 0 ? undefined : values[low - 1]
}

/** Series by plot, in order. */
export function grouped(series: SeriesInfo[]): { group: string; series: SeriesInfo[] }[] {
  const groups = new Map<string, SeriesInfo[]>()
  for (const one of series) groups.set(one.group, [...(groups.get(one.group) ?? []), one])
  return [...groups].map(([group, members]) => ({ group, series: members }))
}

/** Index of the track's point that is nearest to a moment. */
export function nearest(timesMs: number[], ms: number): number {
  let best = 0
  for (let i = 1; i < timesMs.length; i++) {
    if (Math.abs(timesMs[i] - ms) < Math.abs(timesMs[best] - ms)) best = i
  }
  return best
}
