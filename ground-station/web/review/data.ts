import type {
  FlightList,
  FlightView,
  LabelSide,
  Moment,
  Scores,
  SeriesData,
  UpdateEntry,
  UpdateView,
} from '../../review/api.js'
import { getJson } from '../shared/api.js'
import { fetchLabels, type Labels } from '../shared/labels.js'
import { loadPicture } from '../shared/picture.js'

export type * from '../../review/api.js'

const base = '/api/review/flights'
const flightUrl = (id: string) => `${base}/${encodeURIComponent(id)}`

export const listFlights = () => getJson<FlightList>(base)
export const loadFlight = (id: string) => getJson<FlightView>(flightUrl(id))
export const loadUpdates = (id: string) => getJson<UpdateEntry[]>(`${flightUrl(id)}/updates`)
export const loadUpdate = (id: string, version: number) =>
  getJson<UpdateView>(`${flightUrl(id)}/updates/${version}`)
export const reportUrl = (id: string) => `${flightUrl(id)}/report`

export function loadMoment(id: string, atMs: number, signal?: AbortSignal): Promise<Moment> {
  return getJson<Moment>(`${flightUrl(id)}/moment?at=${atMs}`, { signal })
}

export function loadScores(id: string, stretch?: { fromMs: number; toMs: number }): Promise<Scores | null> {
  const query = stretch === undefined ? '' : `?from=${stretch.fromMs}&to=${stretch.toMs}`
  return getJson<Scores | null>(`${flightUrl(id)}/scores${query}`)
}

/** Of one request. */
const SERIES = 24

export async function loadSeries(
  id: string,
  names: string[],
  options: { fromMs?: number; toMs?: number; points: number; signal?: AbortSignal },
): Promise<Map<string, SeriesData>> {
  const found = new Map<string, SeriesData>()
  for (let i = 0; i < names.length; i += SERIES) {
    const query = new URLSearchParams({
      names: names.slice(i, i + SERIES).join(','),
      points: `${options.points}`,
    })
    if (options.fromMs !== undefined) query.set('from', `${options.fromMs}`)
    if (options.toMs !== undefined) query.set('to', `${options.toMs}`)
    const part = await getJson<SeriesData[]>(`${flightUrl(id)}/series?${query}`, { signal: options.signal })
    for (const series of part) found.set(series.name, series)
  }
  return found
}

/** Keeps what was loaded last: people go back and forth. What fails is asked for again. */
function remember<T>(load: (url: string) => Promise<T>, most: number): (url: string) => Promise<T> {
  const kept = new Map<string, Promise<T>>()
  return url => {
    const found = kept.get(url) ?? load(url)
    kept.delete(url)
    kept.set(url, found)
    found.catch(() => kept.delete(url))
    if (kept.size > most) kept.delete([...kept.keys()][0])
    return found
  }
}

const pictures = remember(loadPicture, 40)
const maps = remember(fetchLabels, 120)

export const loadFrame = (id: string, captureMs: number): Promise<ImageBitmap> =>
  pictures(`${flightUrl(id)}/frame/${captureMs}`)
export const loadLabels = (id: string, side: LabelSide, captureMs: number): Promise<Labels> =>
  maps(`${flightUrl(id)}/labels/${side}/${captureMs}`)
export const loadUpdateLabels = (id: string, version: number, side: 'before' | 'after'): Promise<Labels> =>
  maps(`${flightUrl(id)}/updates/${version}/labels/${side}`)
