import type { Message } from '@bufbuild/protobuf'
import { decodeMessage } from './decode.js'
import {
  FLIGHT_RECORD,
  type FlightInfo,
  parseFlightRecord,
  type Side,
  SUMMARY_RECORD,
} from './flight-info.js'
import { LogFile, type RawMessage } from './mcap/log-file.js'
import { OVERVIEW, type OverviewData } from './overview.js'
import { isCaptureTime } from './schemas.js'
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

/** One file of a flight, in the drone's time. */
export class FlightPart {
  readonly file: LogFile
  /** Undefined for a log that is not ours. */
  readonly info?: FlightInfo
  readonly summary?: FileSummary
  #overview?: Promise<OverviewData | undefined>

  private constructor(file: LogFile, info: FlightInfo | undefined, summary: FileSummary | undefined) {
    this.file = file
    this.info = info
    this.summary = summary
  }

  /** @throws UserError where it cannot be read as a log */
  static async open(path: string): Promise<FlightPart> {
    const file = await LogFile.open(path)
    try {
      const record = await file.metadata(FLIGHT_RECORD)
      const summary = await file.metadata(SUMMARY_RECORD)
      return new FlightPart(file, record && parseFlightRecord(record), summary && parseSummary(summary))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** First and last moment of what is in the side's time, and of what is in the camera's, where there is any. */
  get timeRanges(): { fromMs: number; toMs: number }[] {
    return [true, false].flatMap(ofCamera => {
      const range = this.file.range(topic => isCaptureTime(topic) === ofCamera)
      const shift = ofCamera ? 0 : this.shiftMs('/log')
      return range ? [{ fromMs: msOf(range.fromNs) - shift, toMs: msOf(range.toNs) - shift }] : []
    })
  }

  /** What has to be taken off this file's times of a topic to have the drone's, ms. */
  shiftMs(topic: string): number {
    if (this.info?.side !== 'ground' || isCaptureTime(topic)) return 0
    return this.summary?.offsetMs ?? 0
  }

  /** One stream for the topics in the side's time, one for those in the camera's; each in order. */
  streams(topics: string[], options: ReadOptions): AsyncGenerator<FlightMessage, void>[] {
    const groups = [topics.filter(isCaptureTime), topics.filter(topic => !isCaptureTime(topic))]
    return groups.filter(group => group.length > 0).map(group => this.#stream(group, options))
  }

  /** What the file says of the whole of itself; undefined where it was not closed, or says nothing that can be read. */
  overview(): Promise<OverviewData | undefined> {
    this.#overview ??= this.file.attachment(OVERVIEW).then(parseOverview)
    return this.#overview
  }

  async *#stream(topics: string[], options: ReadOptions): AsyncGenerator<FlightMessage, void> {
    const shiftMs = this.shiftMs(topics[0])
    const toNs = (ms: number | undefined) =>
      ms === undefined || !Number.isFinite(ms) ? undefined : nsOf(ms + shiftMs)
    const range = { topics, fromNs: toNs(options.fromMs), toNs: toNs(options.toMs), reverse: options.reverse }
    for await (const raw of this.file.messages(range)) yield flightMessage(raw, shiftMs, this.info?.side)
  }
}

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
