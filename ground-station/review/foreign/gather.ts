import type { EventType, FlightEvent, SeriesData, SeriesInfo, Severity, Track } from '../api.js'
import { Condenser } from '../condenser.js'

/** Points of a series that are kept of a whole log; a shorter stretch is read again from the file. */
const POINTS = 2000
/** Series of a log; one with more has most of its fields left out, which is said. */
const MAX_SERIES = 4000
const MAX_EVENTS = 5000
const MAX_PARAMETERS = 5000
const TRACK_POINTS = 4000

export interface Place {
  latitudeDeg: number
  longitudeDeg: number
  /** Above mean sea level. */
  altitudeM?: number
}

export type PositionSource = 'estimate' | 'receiver'

/** What a reader of a foreign log reports, in any order. */
export interface Sink {
  /** Whether a value of such a series would be kept: readers save themselves the trouble of the others. */
  wants(series: string): boolean
  /** A sample; `info` is asked for once. */
  value(series: string, timeMs: number, value: number, info: () => Omit<SeriesInfo, 'name'>): void
  /** @param source the autopilot's estimate, or a receiver's fix, which only counts where nobody estimates */
  position(timeMs: number, place: Place, source: PositionSource): void
  event(timeMs: number, type: EventType, severity: Severity, text: string): void
  parameter(name: string, value: number | string): void
}

/** Collects what a log says about a flight, in memory that is bounded however long the log is. */
export class Gatherer implements Sink {
  readonly parameters = new Map<string, number | string>()
  readonly events: FlightEvent[] = []
  readonly #series = new Map<string, { info: SeriesInfo; condenser: Condenser }>()
  readonly #wanted: Set<string> | undefined
  readonly #points: number
  readonly #tracks = { estimate: new TrackColumns(), receiver: new TrackColumns() }
  #seriesLeftOut = 0
  #eventsLeftOut = 0
  #beginMs = Number.POSITIVE_INFINITY
  #endMs = Number.NEGATIVE_INFINITY

  /** @param options.wanted the series to keep; all, and everything else, by default */
  constructor(options: { wanted?: string[]; points?: number } = {}) {
    this.#wanted = options.wanted === undefined ? undefined : new Set(options.wanted)
    this.#points = options.points ?? POINTS
  }

  get beginMs(): number {
    return this.#beginMs
  }

  get endMs(): number {
    return this.#endMs
  }

  get track(): Track {
    const { estimate, receiver } = this.#tracks
    return (estimate.columns.timesMs.length > 1 ? estimate : receiver).columns
  }

  get eventsLeftOut(): number {
    return this.#eventsLeftOut
  }

  /** What was left out, in sentences. */
  get notes(): string[] {
    const notes: string[] = []
    if (this.#seriesLeftOut > 0)
      notes.push(`The log has more than ${MAX_SERIES} series; the others are not shown.`)
    if (this.#eventsLeftOut > 0)
      notes.push(`${this.#eventsLeftOut} events beyond the first ${MAX_EVENTS} are left out.`)
    return notes
  }

  get infos(): SeriesInfo[] {
    return [...this.#series.values()].map(({ info }) => info)
  }

  wants(series: string): boolean {
    return this.#wanted?.has(series) ?? true
  }

  /** A moment of the log at which something was said. */
  saw(timeMs: number): void {
    if (timeMs < this.#beginMs) this.#beginMs = timeMs
    if (timeMs > this.#endMs) this.#endMs = timeMs
  }

  value(series: string, timeMs: number, value: number, info: () => Omit<SeriesInfo, 'name'>): void {
    if (!this.wants(series)) return
    let entry = this.#series.get(series)
    if (entry === undefined) {
      if (this.#series.size >= MAX_SERIES) {
        this.#seriesLeftOut += 1
        return
      }
      entry = { info: { name: series, ...info() }, condenser: new Condenser(this.#points) }
      this.#series.set(series, entry)
    }
    entry.condenser.add(timeMs, value)
  }

  position(timeMs: number, place: Place, source: PositionSource): void {
    if (this.#wanted === undefined && isPlace(place)) this.#tracks[source].add(timeMs, place)
  }

  event(timeMs: number, type: EventType, severity: Severity, text: string): void {
    if (this.#wanted !== undefined) return
    if (this.events.length >= MAX_EVENTS) this.#eventsLeftOut += 1
    else this.events.push({ timeMs, type, severity, text })
  }

  parameter(name: string, value: number | string): void {
    if (this.parameters.has(name) || this.parameters.size < MAX_PARAMETERS) this.parameters.set(name, value)
  }

  data(name: string): SeriesData | undefined {
    const entry = this.#series.get(name)
    if (entry === undefined) return undefined
    return { name, ...entry.condenser.columns(), exact: entry.condenser.exact }
  }
}

/** Every nth position, n doubling whenever there are too many of them. */
class TrackColumns {
  #every = 1
  #seen = 0
  #columns: Track = { timesMs: [], latitudeDeg: [], longitudeDeg: [], altitudeM: [] }

  get columns(): Track {
    return this.#columns
  }

  add(timeMs: number, { latitudeDeg, longitudeDeg, altitudeM }: Place): void {
    if (this.#seen++ % this.#every !== 0) return
    if (this.#columns.timesMs.length >= TRACK_POINTS) {
      const half = <T>(column: T[]) => column.filter((_, i) => i % 2 === 0)
      const {
        timesMs,
        latitudeDeg: latitudes,
        longitudeDeg: longitudes,
        altitudeM: altitudes,
      } = this.#columns
      this.#columns = {
        timesMs: half(timesMs),
        latitudeDeg: half(latitudes),
        longitudeDeg: half(longitudes),
        altitudeM: half(altitudes),
      }
      this.#every *= 2
    }
    this.#columns.timesMs.push(timeMs)
    this.#columns.latitudeDeg.push(latitudeDeg)
    this.#columns.longitudeDeg.push(longitudeDeg)
    this.#columns.altitudeM.push(altitudeM !== undefined && Number.isFinite(altitudeM) ? altitudeM : null)
  }
}

/** 0, 0 is what receivers say that know no position yet. */
function isPlace({ latitudeDeg, longitudeDeg }: Place): boolean {
  return (
    Math.abs(latitudeDeg) <= 90 &&
    Math.abs(longitudeDeg) <= 180 &&
    !(Math.abs(latitudeDeg) < 1e-6 && Math.abs(longitudeDeg) < 1e-6)
  )
}
