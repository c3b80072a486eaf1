import type { Flight } from './flight.js'
import { Rate, type Series, SeriesSketch, seriesKinds } from './series.js'

/** What `Flight.series` says. A first view of a long flight must not read the flight: the overviews in its files are enough for that. */
export async function readSeries(
  flight: Flight,
  names: string[],
  options: { fromMs?: number; toMs?: number; maxPoints?: number },
): Promise<Series[]> {
  const whole = flight.timeRange ?? { fromMs: 0, toMs: 0 }
  const { fromMs = whole.fromMs, toMs = whole.toMs, maxPoints = 1000 } = options
  const widthMs = Math.max(1, toMs - fromMs) / maxPoints
  const range = { fromMs, toMs, widthMs, whole: fromMs <= whole.fromMs && toMs >= whole.toMs }
  const known = names.filter(name => Object.hasOwn(seriesKinds, name))
  const found = new Map<string, Series>()
  for (const name of known) {
    const series = await fromOverviews(flight, name, range)
    if (series !== undefined) found.set(name, series)
  }
  const missing = known.filter(name => !found.has(name))
  if (missing.length > 0) {
    for (const series of await fromMessages(flight, missing, range, maxPoints)) found.set(series.name, series)
  }
  return known.map(name => found.get(name)!)
}

interface Range {
  fromMs: number
  toMs: number
  /** Of one point. */
  widthMs: number
  /** It is all of the flight. */
  whole: boolean
}

/** @returns undefined where a file has no overview, or one that is too coarse */
async function fromOverviews(flight: Flight, name: string, range: Range): Promise<Series | undefined> {
  const { title, unit, topic } = seriesKinds[name]
  const overviews = await flight.overviews(topic)
  // An overview of hundreds of points is what a first view shows; finer points are worth reading only in a part of the flight.
  const isFine = ({ data }: { data: { widthMs: Record<string, number> } }) =>
    range.whole || (data.widthMs[name] ?? 0) <= 2 * range.widthMs
  if (!overviews?.every(isFine)) return undefined
  const rows = overviews.flatMap(({ data, shiftMs }) => {
    const series = data.series[name]
    if (series === undefined) return []
    return series.timesMs.map((timeMs, i) => ({
      timeMs: timeMs - shiftMs,
      value: series.values[i],
      min: series.min?.[i] ?? series.values[i],
      max: series.max?.[i] ?? series.values[i],
    }))
  })
  const inside = rows
    .filter(({ timeMs }) => timeMs >= range.fromMs && timeMs <= range.toMs)
    .sort((a, b) => a.timeMs - b.timeMs)
  return {
    ...{ name, title, unit },
    timesMs: inside.map(({ timeMs }) => timeMs),
    values: inside.map(({ value }) => value),
    min: inside.map(({ min }) => min),
    max: inside.map(({ max }) => max),
  }
}

async function fromMessages(
  flight: Flight,
  names: string[],
  { fromMs, toMs, widthMs }: Range,
  maxPoints: number,
): Promise<Series[]> {
  const sketches = new Map(
    names.map(name => [
      name,
      { sketch: new SeriesSketch(maxPoints + 2, Math.max(1, widthMs)), rate: new Rate() },
    ]),
  )
  const topics = [...new Set(names.map(name => seriesKinds[name].topic as string))]
  for await (const { topic, timeMs, message } of flight.messages(topics, { fromMs, toMs })) {
    if (message === undefined) continue
    for (const name of names) {
      const kind = seriesKinds[name]
      if (kind.topic !== topic) continue
      const value = kind.value(message)
      if (value === undefined) continue
      const { sketch, rate } = sketches.get(name)!
      const shown = kind.rate ? rate.next(timeMs, value) : value
      if (shown !== undefined) sketch.add(timeMs, shown)
    }
  }
  return names.map(name => {
    const { title, unit } = seriesKinds[name]
    return { name, title, unit, ...sketches.get(name)!.sketch.points() }
  })
}
