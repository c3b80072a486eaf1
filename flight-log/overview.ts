import type { Message } from '@bufbuild/protobuf'
import { type Event, type LearningScore, Severity } from './proto/flight_pb.js'
import type { LocationFix } from './proto/foxglove/LocationFix_pb.js'
import { Rate, type Series, type SeriesKind, SeriesSketch, seriesKinds } from './series.js'

/** Something that happened, as a marker on a timeline. */
export interface FlightEvent {
  timeMs: number
  type: string
  text: string
  severity: 'info' | 'warning' | 'error'
}

/** A position on the way: Unix ms, degrees, and metres above the sea. */
export type TrackPoint = [timeMs: number, latitude: number, longitude: number, altitudeM: number]

/** A file at a glance: what a list and a first view need, so that they read nothing else. */
export interface OverviewData {
  /** Points are as fine as this, ms. */
  widthMs: Record<string, number>
  series: Record<string, Series>
  track: TrackPoint[]
  events: FlightEvent[]
  /** Events beyond the bound. */
  eventsLeftOut: number
  updates: { applied: number; refused: number; rolledBack: number }
  /** Sums over the file, by class. */
  scores?: ClassSums
}

export interface ClassSums {
  frames: number
  adapting: { intersection: number[]; union: number[] }
  frozen: { intersection: number[]; union: number[] }
  truth: number[]
}

export const OVERVIEW = 'overview.json'

const MOST_EVENTS = 2000
const MOST_TRACK = 1000

/** Collects an overview message by message, in bounded memory. */
export class Overview {
  readonly #sketches = new Map<string, SeriesSketch>()
  readonly #rates = new Map<string, Rate>()
  readonly #events: FlightEvent[] = []
  #eventsLeftOut = 0
  readonly #updates = { applied: 0, refused: 0, rolledBack: 0 }
  #track: TrackPoint[] = []
  #trackStep = 1
  #trackSeen = 0
  #scores: ClassSums | undefined

  /** @param timeMs of the log */
  add(topic: string, timeMs: number, message: Message): void {
    for (const [name, kind] of kindsOf(topic)) {
      const value = kind.value(message)
      if (value === undefined) continue
      const shown = kind.rate ? this.#rate(name).next(timeMs, value) : value
      if (shown !== undefined) this.#sketch(name).add(timeMs, shown)
    }
    if (topic === '/events') this.#event(message as Event, timeMs)
    else if (topic === '/vehicle/position') this.#position(message as LocationFix, timeMs)
    else if (topic === '/learning/score') this.#score(message as LearningScore)
  }

  data(): OverviewData {
    const entries = [...this.#sketches]
    return {
      widthMs: Object.fromEntries(entries.map(([name, { widthMs }]) => [name, widthMs])),
      series: Object.fromEntries(
        entries.map(([name, sketch]) => {
          const { title, unit } = seriesKinds[name]
          return [name, { name, title, unit, ...sketch.points() }]
        }),
      ),
      track: this.#track,
      events: this.#events,
      eventsLeftOut: this.#eventsLeftOut,
      updates: this.#updates,
      scores: this.#scores,
    }
  }

  #sketch(name: string): SeriesSketch {
    const known = this.#sketches.get(name)
    if (known !== undefined) return known
    const sketch = new SeriesSketch()
    this.#sketches.set(name, sketch)
    return sketch
  }

  #rate(name: string): Rate {
    const known = this.#rates.get(name)
    if (known !== undefined) return known
    const rate = new Rate()
    this.#rates.set(name, rate)
    return rate
  }

  #event(event: Event, timeMs: number): void {
    const { type } = event
    if (type === 'update-applied') this.#updates.applied += 1
    else if (type === 'update-refused') this.#updates.refused += 1
    else if (type === 'rolled-back') this.#updates.rolledBack += 1
    if (this.#events.length >= MOST_EVENTS) this.#eventsLeftOut += 1
    else this.#events.push(flightEvent(event, timeMs))
  }

  /** Every n-th position, n doubling whenever there are too many. */
  #position({ latitude, longitude, altitude }: LocationFix, timeMs: number): void {
    if (this.#trackSeen++ % this.#trackStep !== 0) return
    this.#track.push([timeMs, latitude, longitude, altitude])
    if (this.#track.length <= MOST_TRACK) return
    this.#track = this.#track.filter((_, i) => i % 2 === 0)
    this.#trackStep *= 2
  }

  #score(score: LearningScore): void {
    const classes = score.truth.length
    const zeros = () => Array.from({ length: classes }, () => 0)
    const sums = (this.#scores ??= {
      frames: 0,
      adapting: { intersection: zeros(), union: zeros() },
      frozen: { intersection: zeros(), union: zeros() },
      truth: zeros(),
    })
    if (sums.truth.length !== classes) return
    const add = (to: number[], values: bigint[]) => {
      for (let k = 0; k < classes; k++) to[k] += Number(values[k] ?? 0n)
    }
    sums.frames += 1
    add(sums.adapting.intersection, score.adaptingIntersection)
    add(sums.adapting.union, score.adaptingUnion)
    add(sums.frozen.intersection, score.frozenIntersection)
    add(sums.frozen.union, score.frozenUnion)
    add(sums.truth, score.truth)
  }
}

export function flightEvent(event: Event, timeMs: number): FlightEvent {
  const severities = { [Severity.WARNING]: 'warning', [Severity.ERROR]: 'error' } as const
  const severity = severities[event.severity as keyof typeof severities] ?? 'info'
  return { timeMs, type: event.type, text: event.text, severity }
}

/** mIoU 0..1 over the classes that the truth has; undefined where it has none. */
export function miouOf(
  sums: { intersection: number[]; union: number[] },
  truth: number[],
): number | undefined {
  const present = truth.flatMap((pixels, k) => (pixels > 0 ? [sums.intersection[k] / sums.union[k]] : []))
  return present.length === 0 ? undefined : present.reduce((sum, iou) => sum + iou, 0) / present.length
}

const byTopic = new Map<string, [string, SeriesKind][]>()
for (const entry of Object.entries(seriesKinds)) {
  const { topic } = entry[1]
  byTopic.set(topic, [...(byTopic.get(topic) ?? []), entry])
}

function kindsOf(topic: string): [string, SeriesKind][] {
  return byTopic.get(topic) ?? []
}
