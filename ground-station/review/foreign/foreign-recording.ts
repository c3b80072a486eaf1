import { statSync } from 'node:fs'
import { basename } from 'node:path'
import { UserError } from '@kestrel/runtime'
import type { FlightEntry, FlightView, SeriesData } from '../api.js'
import type { Recording, SeriesQuery, Stretch } from '../recording.js'
import { inOrder } from '../standard-series.js'
import { Gatherer } from './gather.js'

/** What a kind of foreign log is read with. */
export interface ForeignReader {
  kind: 'tlog' | 'ulog'
  /** Reads a stretch of the log, or all of it; called again for stretches that are looked at closely. */
  read(into: Gatherer, stretch?: Stretch): Promise<{ vehicle: string; software: string; dated: boolean }>
}

/**
 * A log that Kestrel did not write, as far as it goes: track, attitude, modes, parameters, every series. It is read once in full, thinned
 * out as it goes by; stretches are read again where the thinned series is too coarse for them.
 *
 * @throws UserError where there is nothing in it
 */
export async function openForeign(file: string, reader: ForeignReader): Promise<Recording> {
  const whole = new Gatherer()
  const facts = await reader.read(whole)
  const { beginMs, endMs, events, track, parameters } = whole
  if (endMs < beginMs) throw new UserError(`${file} holds no message that can be read`)
  events.sort((a, b) => a.timeMs - b.timeMs)
  const entry: FlightEntry = {
    id: basename(file),
    kind: reader.kind,
    drone: facts.vehicle || 'unknown vehicle',
    beginMs,
    endMs,
    dated: facts.dated,
    bytes: statSync(file).size,
    complete: true,
    updates: 0,
    refused: 0,
    events: events.length + whole.eventsLeftOut,
    ...(track.timesMs.length > 0
      ? { place: { latitudeDeg: track.latitudeDeg[0], longitudeDeg: track.longitudeDeg[0] } }
      : {}),
  }
  return {
    entry: () => entry,
    async view(): Promise<FlightView> {
      return {
        ...entry,
        series: inOrder(whole.infos),
        track,
        eventList: events,
        eventsLeftOut: whole.eventsLeftOut,
        frames: 0,
        labels: {},
        classes: [],
        palette: [],
        software: facts.software,
        student: '',
        configuration: {},
        parameters: Object.fromEntries([...parameters].sort(([a], [b]) => (a < b ? -1 : 1))),
        notes: whole.notes,
      }
    },
    async series(query: SeriesQuery): Promise<SeriesData[]> {
      const { names, fromMs = beginMs, toMs = endMs, maxPoints } = query
      const unknown = names.find(name => whole.data(name) === undefined)
      if (unknown !== undefined) throw new UserError(`${basename(file)} has no series "${unknown}"`)
      const coarse = names.filter(name => !whole.data(name)!.exact)
      const partly = fromMs > beginMs || toMs < endMs
      let close: Gatherer | undefined
      if (partly && coarse.length > 0) {
        close = new Gatherer({ wanted: coarse, points: maxPoints })
        await reader.read(close, { fromMs, toMs })
      }
      return names.map(name => {
        const near = close?.data(name)
        return near ?? clip(whole.data(name)!, { fromMs, toMs })
      })
    },
    ...noPictures,
    async close() {},
  }
}

/** Logs of autopilots have neither frames nor labels. */
const noPictures = {
  moment: async () => ({ labels: {} }),
  frame: async () => undefined,
  labels: async () => undefined,
  highlights: async () => ({ best: [], worst: [] }),
  scores: async () => undefined,
  updates: async () => [],
  update: async () => undefined,
  updateLabels: async () => undefined,
}

/** The samples of a stretch, and one on either side, so that lines reach its edges. */
export function clip(data: SeriesData, { fromMs, toMs }: Stretch): SeriesData {
  const { timesMs, values } = data
  let from = timesMs.findIndex(ms => ms >= fromMs)
  if (from < 0) from = timesMs.length
  let to = timesMs.findIndex(ms => ms > toMs)
  if (to < 0) to = timesMs.length
  const slice = <T>(column: T[]) => column.slice(Math.max(0, from - 1), to + 1)
  return { ...data, timesMs: slice(timesMs), values: slice(values) }
}
