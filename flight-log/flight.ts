import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Message } from '@bufbuild/protobuf'
import { isKeyPicture, type VideoFormat } from '@kestrel/link'
import { messageOf, UserError } from '@kestrel/runtime'
import { decodeMessage } from './decode.js'
import {
  FLIGHT_RECORD,
  type FlightInfo,
  parseFlightRecord,
  type Side,
  SUMMARY_RECORD,
} from './flight-info.js'
import { LogFile, type RawMessage } from './mcap/log-file.js'
import { type FlightEvent, flightEvent, OVERVIEW, type OverviewData } from './overview.js'
import type { Event } from './proto/flight_pb.js'
import type { CompressedVideo } from './proto/foxglove/CompressedVideo_pb.js'
import { isCaptureTime } from './schemas.js'
import { Rate, type Series, SeriesSketch, seriesKinds } from './series.js'
import { type FileSummary, parseSummary } from './summary.js'
import { msOf, nsOf } from './time.js'

/** A message of a flight; times are Unix ms of the drone's clock. */
export interface FlightMessage {
  topic: string
  timeMs: number
  /** Who logged it; undefined for a log that is not ours. */
  side?: Side
  schema: string
  encoding: string
  data: Uint8Array
  /** Decoded, where the type is known here. */
  message?: Message
}

export interface ReadOptions {
  /** Both included; the whole flight unless given. */
  fromMs?: number
  toMs?: number
  /** Newest first. */
  reverse?: boolean
  limit?: number
  /** Only what this side has logged; unless given the side that is nearer to the matter, and both for events and lines. */
  side?: Side
}

interface Part {
  file: LogFile
  info?: FlightInfo
  summary?: FileSummary
  overview?: OverviewData
}

/** What both sides say in their own way. */
const ofBoth = new Set(['/events', '/log'])

/**
 * Opens a flight: a folder with the files of both sides and their continuations, one file, or several.
 *
 * @throws UserError where nothing there can be read as a log
 */
export async function openFlight(target: string | string[]): Promise<Flight> {
  const paths = Array.isArray(target) ? target : logFiles(target)
  const parts: Part[] = []
  try {
    for (const path of paths) parts.push(await openPart(path))
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

async function openPart(path: string): Promise<Part> {
  const file = await LogFile.open(path)
  try {
    const record = await file.metadata(FLIGHT_RECORD)
    const summary = await file.metadata(SUMMARY_RECORD)
    return {
      file,
      info: record && parseFlightRecord(record),
      summary: summary && parseSummary(summary),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** One flight, from all files that tell of it, in the drone's time. Reads by indexes: in memory are those and what is asked for. */
export class Flight {
  /** In the order of their times, whatever they are called. */
  readonly #parts: Part[]

  constructor(parts: Part[]) {
    const beginNs = ({ file }: Part) => file.range()?.fromNs ?? 0n
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
    const ranges = this.#parts.flatMap(part =>
      [true, false].flatMap(ofCamera => {
        const range = part.file.range(topic => isCaptureTime(topic) === ofCamera)
        const shift = ofCamera ? 0 : this.#shiftMs(part, '/log')
        return range ? [{ fromMs: msOf(range.fromNs) - shift, toMs: msOf(range.toNs) - shift }] : []
      }),
    )
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
      return this.#streams(part, mine, options)
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
    const overviews = await this.#overviews()
    if (overviews?.every(({ data }) => data.eventsLeftOut === 0)) {
      const { fromMs = Number.NEGATIVE_INFINITY, toMs = Number.POSITIVE_INFINITY } = options
      return overviews
        .flatMap(({ part, data }) =>
          data.events.map(event => ({ ...event, timeMs: event.timeMs - this.#shiftMs(part, '/events') })),
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
    const range = this.timeRange ?? { fromMs: 0, toMs: 0 }
    const { fromMs = range.fromMs, toMs = range.toMs, maxPoints = 1000 } = options
    const known = names.filter(name => Object.hasOwn(seriesKinds, name))
    const spanMs = Math.max(1, toMs - fromMs) / maxPoints
    const overviews = await this.#overviews()
    const found = new Map<string, Series>()
    if (overviews !== undefined) {
      for (const name of known) {
        const { topic } = seriesKinds[name]
        const mine = overviews.filter(({ part }) => this.#serves(part, topic, undefined))
        // An overview of hundreds of points is what a first view shows; finer points are worth reading only in a part of the flight.
        const whole = fromMs <= range.fromMs && toMs >= range.toMs
        if (!whole && mine.some(({ data }) => (data.widthMs[name] ?? 0) > 2 * spanMs)) continue
        found.set(name, this.#fromOverviews(name, mine, fromMs, toMs))
      }
    }
    const missing = known.filter(name => !found.has(name))
    if (missing.length > 0) {
      for (const series of await this.#fromMessages(missing, { fromMs, toMs, maxPoints })) {
        found.set(series.name, series)
      }
    }
    return known.map(name => found.get(name)!)
  }

  /** Positions, thinned out. */
  async track(): Promise<OverviewData['track']> {
    const overviews = await this.#overviews()
    const source = overviews?.filter(({ part }) => this.#serves(part, '/vehicle/position', undefined))
    if (source !== undefined) {
      return source.flatMap(({ part, data }) =>
        data.track.map(
          ([timeMs, ...place]) =>
            [timeMs - this.#shiftMs(part, '/vehicle/position'), ...place] as OverviewData['track'][number],
        ),
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
    const overviews = await this.#overviews()
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

  async close(): Promise<void> {
    await Promise.all(this.#parts.map(({ file }) => file.close()))
  }

  /** Whether a file's messages of a topic are those to read. */
  #serves({ info }: Part, topic: string, side: Side | undefined): boolean {
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

  /** What has to be taken off a file's times of a topic to have the drone's, ms. */
  #shiftMs({ info, summary }: Part, topic: string): number {
    if (info?.side !== 'ground' || isCaptureTime(topic)) return 0
    return summary?.offsetMs ?? 0
  }

  /** One stream for the topics in the side's time, one for those in the camera's. */
  #streams(part: Part, topics: string[], options: ReadOptions): AsyncGenerator<FlightMessage, void>[] {
    const groups = [topics.filter(isCaptureTime), topics.filter(topic => !isCaptureTime(topic))]
    return groups.filter(group => group.length > 0).map(group => this.#stream(part, group, options))
  }

  async *#stream(part: Part, topics: string[], options: ReadOptions): AsyncGenerator<FlightMessage, void> {
    const shiftMs = this.#shiftMs(part, topics[0])
    const toNs = (ms: number | undefined) =>
      ms === undefined || !Number.isFinite(ms) ? undefined : nsOf(ms + shiftMs)
    const range = { topics, fromNs: toNs(options.fromMs), toNs: toNs(options.toMs), reverse: options.reverse }
    for await (const raw of part.file.messages(range)) yield flightMessage(raw, shiftMs, part.info?.side)
  }

  /** Undefined where a file has none. */
  async #overviews(): Promise<{ part: Part; data: OverviewData }[] | undefined> {
    const found: { part: Part; data: OverviewData }[] = []
    for (const part of this.#parts) {
      part.overview ??= parseOverview(await part.file.attachment(OVERVIEW))
      if (part.overview === undefined) return undefined
      found.push({ part, data: part.overview })
    }
    return found
  }

  #fromOverviews(
    name: string,
    overviews: { part: Part; data: OverviewData }[],
    fromMs: number,
    toMs: number,
  ): Series {
    const { title, unit, topic } = seriesKinds[name]
    const rows = overviews.flatMap(({ part, data }) => {
      const series = data.series[name]
      if (series === undefined) return []
      const shift = this.#shiftMs(part, topic)
      return series.timesMs.map((timeMs, i) => ({
        timeMs: timeMs - shift,
        value: series.values[i],
        min: series.min?.[i] ?? series.values[i],
        max: series.max?.[i] ?? series.values[i],
      }))
    })
    const inside = rows
      .filter(({ timeMs }) => timeMs >= fromMs && timeMs <= toMs)
      .sort((a, b) => a.timeMs - b.timeMs)
    return {
      ...{ name, title, unit },
      timesMs: inside.map(({ timeMs }) => timeMs),
      values: inside.map(({ value }) => value),
      min: inside.map(({ min }) => min),
      max: inside.map(({ max }) => max),
    }
  }

  async #fromMessages(
    names: string[],
    { fromMs, toMs, maxPoints }: { fromMs: number; toMs: number; maxPoints: number },
  ): Promise<Series[]> {
    const widthMs = Math.max(1, (toMs - fromMs) / maxPoints)
    const sketches = new Map(
      names.map(name => [name, { sketch: new SeriesSketch(maxPoints + 2, widthMs), rate: new Rate() }]),
    )
    const topics = [...new Set(names.map(name => seriesKinds[name].topic as string))]
    for await (const { topic, timeMs, message } of this.messages(topics, { fromMs, toMs })) {
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
}

/** No clip lasts longer: T_update is at most 10 minutes. */
const CLIP_MS = 600_000

const codecs = { h264: 'h264', h265: 'hevc', av1: 'av1' } as const

function flightMessage(raw: RawMessage, shiftMs: number, side: Side | undefined): FlightMessage {
  const { topic, schema, encoding, timeNs, data } = raw
  const message = encoding === 'protobuf' ? decodeMessage(schema, data) : undefined
  return { topic, timeMs: msOf(timeNs) - shiftMs, side, schema, encoding, data, message }
}

function parseOverview(bytes: Uint8Array | undefined): OverviewData | undefined {
  if (bytes === undefined) return undefined
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as OverviewData
  } catch {
    return undefined
  }
}
