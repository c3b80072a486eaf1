import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isKeyPicture, type VideoFormat } from '@kestrel/link'
import { messageOf, UserError } from '@kestrel/runtime'
import type { FlightInfo, Side } from './flight-info.js'
import { type FlightMessage, FlightPart, type ReadOptions } from './flight-part.js'
import { readSeries } from './flight-series.js'
import { type FlightEvent, flightEvent, type OverviewData } from './overview.js'
import type { Event } from './proto/flight_pb.js'
import type { CompressedVideo } from './proto/foxglove/CompressedVideo_pb.js'
import { type Series, seriesKinds } from './series.js'
import type { FileSummary } from './summary.js'

/** What both sides say in their own way. */
const ofBoth = new Set(['/events', '/log'])

/**
 * Opens a flight: a folder with the files of both sides and their continuations, one file, or several.
 *
 * @throws UserError where nothing there can be read as a log
 */
export async function openFlight(target: string | string[]): Promise<Flight> {
  const paths = Array.isArray(target) ? target : logFiles(target)
  const parts: FlightPart[] = []
  try {
    for (const path of paths) parts.push(await FlightPart.open(path))
  } catch (error) {
    for (const { file } of parts) await file.close()
    throw error
  }
  return new Flight(parts)
}

function logFiles(path: string): string[] {
  let isFolder: boolean
  try {
    isFolder = statSync(path).isDirectory()
  } catch (cause) {
    throw new UserError(`Cannot read the log ${path}: ${messageOf(cause)}`, { cause })
  }
  if (!isFolder) return [path]
  const files = readdirSync(path)
    .filter(name => name.endsWith('.mcap'))
    .sort()
    .map(name => join(path, name))
  if (files.length === 0) throw new UserError(`There is no log (*.mcap) in ${path}`)
  return files
}

/** One flight, from all files that tell of it, in the drone's time. Reads by indexes: in memory are those and what is asked for. */
export class Flight {
  /** In the order of their times, whatever they are called. */
  readonly #parts: FlightPart[]

  constructor(parts: FlightPart[]) {
    const beginNs = ({ file }: FlightPart) => file.range()?.fromNs ?? 0n
    this.#parts = [...parts].sort((a, b) => (beginNs(a) < beginNs(b) ? -1 : 1))
  }

  get files(): { path: string; bytes: number; complete: boolean; side?: Side }[] {
    return this.#parts.map(({ file, info }) => ({
      path: file.path,
      bytes: file.bytes,
      complete: file.complete,
      side: info?.side,
    }))
  }

  /** Undefined for a log that is not ours; the drone's where there is one. */
  get info(): FlightInfo | undefined {
    return this.#parts.find(({ info }) => info?.side === 'drone')?.info ?? this.#parts[0].info
  }

  /** The id, or the name of the file. */
  get name(): string {
    const { path } = this.#parts[0].file
    return this.info?.id ?? (basename(path) || basename(dirname(path)))
  }

  /** Of each file that has one. */
  get summaries(): (FileSummary & { side?: Side })[] {
    return this.#parts.flatMap(({ summary, info }) => (summary ? [{ ...summary, side: info?.side }] : []))
  }

  /** First and last moment, Unix ms; undefined where no message is there. */
  get timeRange(): { fromMs: number; toMs: number } | undefined {
    const ranges = this.#parts.flatMap(part => part.timeRanges)
    if (ranges.length === 0) return undefined
    return {
      fromMs: Math.min(...ranges.map(({ fromMs }) => fromMs)),
      toMs: Math.max(...ranges.map(({ toMs }) => toMs)),
    }
  }

  /** Topic → type, encoding and number of messages on either side. */
  get channels(): Map<string, { schema: string; encoding: string; count: number; sides: Side[] }> {
    const channels = new Map<string, { schema: string; encoding: string; count: number; sides: Side[] }>()
    for (const { file, info } of this.#parts) {
      for (const [topic, { schema, encoding, count }] of file.channels) {
        const known = channels.get(topic) ?? { schema, encoding, count: 0, sides: [] }
        const sides =
          info === undefined || known.sides.includes(info.side) ? known.sides : [...known.sides, info.side]
        channels.set(topic, { ...known, count: known.count + count, sides })
      }
    }
    return channels
  }

  get attachments(): { path: string; name: string; mediaType: string; bytes: number }[] {
    return this.#parts.flatMap(({ file }) => file.attachments.map(about => ({ path: file.path, ...about })))
  }

  /** Messages of one topic or several, in the order of their times. */
  async *messages(topics: string | string[], options: ReadOptions = {}): AsyncGenerator<FlightMessage, void> {
    const { reverse = false, limit = Number.POSITIVE_INFINITY, side } = options
    const wanted = Array.isArray(topics) ? topics : [topics]
    const streams = this.#parts.flatMap(part => {
      const mine = wanted.filter(topic => this.#serves(part, topic, side))
      return part.streams(mine, options)
    })
    const heads: { stream: AsyncGenerator<FlightMessage, void>; next: FlightMessage }[] = []
    const pull = async (stream: AsyncGenerator<FlightMessage, void>) => {
      const { value, done } = await stream.next()
      if (!done) heads.push({ stream, next: value })
    }
    for (const stream of streams) await pull(stream)
    for (let given = 0; given < limit && heads.length > 0; given++) {
      let first = 0
      for (let i = 1; i < heads.length; i++) {
        const [a, b] = [heads[i].next.timeMs, heads[first].next.timeMs]
        if (reverse ? a > b : a < b) first = i
      }
      const [{ stream, next }] = heads.splice(first, 1)
      yield next
      await pull(stream)
    }
    for (const { stream } of heads) await stream.return()
  }

  /** The newest message of a topic at a moment. @param withinMs how old it may be */
  async latest(topic: string, atMs: number, withinMs = 60_000): Promise<FlightMessage | undefined> {
    const options = { fromMs: atMs - withinMs, toMs: atMs, reverse: true, limit: 1 }
    for await (const message of this.messages(topic, options)) return message
    return undefined
  }

  /**
   * What a decoder needs for the picture of a moment: pictures from where a clip begins up to the newest at that moment, which is the last.
   *
   * @returns undefined where there is no picture
   */
  async clipAt(
    atMs: number,
  ): Promise<{ format: VideoFormat; pictures: Uint8Array[]; timesMs: number[] } | undefined> {
    const pictures: Uint8Array[] = []
    const timesMs: number[] = []
    const newest = { toMs: atMs, fromMs: atMs - CLIP_MS, reverse: true }
    for await (const { message, timeMs } of this.messages('/camera/sampled', newest)) {
      if (message === undefined) continue
      const { data, format } = message as CompressedVideo
      pictures.unshift(data)
      timesMs.unshift(timeMs)
      if (isKeyPicture(data, codecs[format as VideoFormat]))
        return { format: format as VideoFormat, pictures, timesMs }
    }
    return undefined
  }

  /** Of the whole flight, or of a stretch of it, in order. */
  async events(options: { fromMs?: number; toMs?: number } = {}): Promise<FlightEvent[]> {
    const overviews = await this.overviews('/events')
    if (overviews?.every(({ data }) => data.eventsLeftOut === 0)) {
      const { fromMs = Number.NEGATIVE_INFINITY, toMs = Number.POSITIVE_INFINITY } = options
      return overviews
        .flatMap(({ data, shiftMs }) =>
          data.events.map(event => ({ ...event, timeMs: event.timeMs - shiftMs })),
        )
        .filter(({ timeMs }) => timeMs >= fromMs && timeMs <= toMs)
        .sort((a, b) => a.timeMs - b.timeMs)
    }
    const events: FlightEvent[] = []
    for await (const { message, timeMs } of this.messages('/events', options)) {
      if (message !== undefined) events.push(flightEvent(message as Event, timeMs))
    }
    return events
  }

  /** Names of the curves that this flight has. */
  get seriesNames(): string[] {
    const { channels } = this
    return Object.entries(seriesKinds)
      .filter(([, { topic }]) => (channels.get(topic)?.count ?? 0) > 0)
      .map(([name]) => name)
  }

  /**
   * Curves, thinned out to about `maxPoints` with their least and greatest values. From the overviews in the files where these are fine
   * enough, else from the messages.
   *
   * @param names of `seriesNames`
   */
  async series(
    names: string[],
    options: { fromMs?: number; toMs?: number; maxPoints?: number } = {},
  ): Promise<Series[]> {
    return readSeries(this, names, options)
  }

  /** Positions, thinned out. */
  async track(): Promise<OverviewData['track']> {
    const overviews = await this.overviews('/vehicle/position')
    if (overviews !== undefined) {
      return overviews.flatMap(({ data, shiftMs }) =>
        data.track.map(([timeMs, ...place]) => [timeMs - shiftMs, ...place] as OverviewData['track'][number]),
      )
    }
    const track: OverviewData['track'] = []
    for await (const { message, timeMs } of this.messages('/vehicle/position')) {
      const { latitude, longitude, altitude } = message as unknown as Record<string, number>
      track.push([timeMs, latitude, longitude, altitude])
    }
    const step = Math.ceil(track.length / 1000)
    return step > 1 ? track.filter((_, i) => i % step === 0) : track
  }

  /** Sums of intersections and unions by class, for the table of IoU; undefined where nothing was scored. */
  async scores(): Promise<OverviewData['scores']> {
    const overviews = await this.overviews()
    const sums = overviews?.flatMap(({ data }) => (data.scores ? [data.scores] : [])) ?? []
    if (sums.length === 0) return undefined
    const add = (lists: number[][]) =>
      lists[0].map((_, k) => lists.reduce((sum, list) => sum + (list[k] ?? 0), 0))
    return {
      frames: sums.reduce((sum, { frames }) => sum + frames, 0),
      adapting: {
        intersection: add(sums.map(({ adapting }) => adapting.intersection)),
        union: add(sums.map(({ adapting }) => adapting.union)),
      },
      frozen: {
        intersection: add(sums.map(({ frozen }) => frozen.intersection)),
        union: add(sums.map(({ frozen }) => frozen.union)),
      },
      truth: add(sums.map(({ truth }) => truth)),
    }
  }

  /**
   * What the files say of the whole of themselves, and what is to be taken off the times of a topic in each to have the drone's.
   *
   * @param topic of those files alone whose messages of it are read; all unless given
   * @returns undefined where any file says nothing: then the messages tell
   */
  async overviews(topic?: string): Promise<{ data: OverviewData; shiftMs: number }[] | undefined> {
    const found: { data: OverviewData; shiftMs: number }[] = []
    for (const part of this.#parts) {
      const data = await part.overview()
      if (data === undefined) return undefined
      if (topic === undefined) found.push({ data, shiftMs: 0 })
      else if (this.#serves(part, topic, undefined)) found.push({ data, shiftMs: part.shiftMs(topic) })
    }
    return found
  }

  async close(): Promise<void> {
    await Promise.all(this.#parts.map(({ file }) => file.close()))
  }

  /** Whether a file's messages of a topic are those to read. */
  #serves({ info }: FlightPart, topic: string, side: Side | undefined): boolean {
    if (info === undefined || ofBoth.has(topic)) return side === undefined || info?.side === side
    if (side !== undefined) return info.side === side
    return info.side === this.#nearer(topic)
  }

  /** The side whose log of a topic is read: the drone's, unless it has none. */
  #nearer(topic: string): Side {
    const has = (side: Side) =>
      this.#parts.some(({ file, info }) => info?.side === side && (file.channels.get(topic)?.count ?? 0) > 0)
    return has('drone') ? 'drone' : 'ground'
  }
}

/** No clip lasts longer: T_update is at most 10 minutes. */
const CLIP_MS = 600_000

const codecs = { h264: 'h264', h265: 'hevc', av1: 'av1' } as const
