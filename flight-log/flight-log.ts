import { join } from 'node:path'
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import {
  type PoseInit,
  type Segment,
  splitSegment,
  type Telemetry,
  TelemetrySchema,
  type VehicleInit,
  VehicleSchema,
  type What,
} from '@kestrel/link'
import type { LabelMap } from '@kestrel/models'
import { type Clock, type Log, type LogLine, messageOf } from '@kestrel/runtime'
import { FLIGHT_RECORD, type FlightInfo, flightRecord, SUMMARY_RECORD } from './flight-info.js'
import { encodeLabelPicture } from './label-picture.js'
import { LogQueue } from './log-queue.js'
import { diskStorage, type LogStorage } from './mcap/storage.js'
import type { McapFile } from './mcap/writer.js'
import { OVERVIEW, Overview } from './overview.js'
import {
  EventSchema,
  LearningPhaseSchema,
  LearningScoreSchema,
  LinkTrafficSchema,
  Severity,
} from './proto/flight_pb.js'
import { CompressedImageSchema } from './proto/foxglove/CompressedImage_pb.js'
import { CompressedVideoSchema } from './proto/foxglove/CompressedVideo_pb.js'
import { LocationFixSchema } from './proto/foxglove/LocationFix_pb.js'
import { Log_Level, LogSchema } from './proto/foxglove/Log_pb.js'
import { schemaOf, type Topic } from './schemas.js'
import { summaryRecord } from './summary.js'
import { timestampOf } from './time.js'
import { TLOG_FLUSH_MS, TlogWriter } from './tlog/writer.js'

export interface FlightLogLimits {
  /** A file is ended and another begun beyond, bytes and ms. */
  maxFileBytes?: number
  maxFileMs?: number
  /** Bytes that may wait for the disk. */
  maxWaitingBytes?: number
}

export interface FlightLogOptions {
  /** Folder of all flights; this one gets a folder of its own in it. */
  dir: string
  info: FlightInfo
  limits?: FlightLogLimits
  /** Keeps a .tlog as well. */
  tlog?: boolean
  storage?: LogStorage
  clock: Clock
  log: Log
}

/** Label pictures that may be deflated at a time; beyond, they are left out and counted. */
const MOST_PICTURES = 64

const levels = {
  debug: Log_Level.DEBUG,
  info: Log_Level.INFO,
  warn: Log_Level.WARNING,
  error: Log_Level.ERROR,
}
const severities = { info: Severity.INFO, warning: Severity.WARNING, error: Severity.ERROR }

/**
 * The log of one flight on one side. Every method returns at once and none throws: whatever happens to the disk, the flight goes on.
 * Times are Unix ms of the side's clock, but for those of pictures and labels, which are those of the drone's camera.
 */
export class FlightLog {
  readonly info: FlightInfo
  readonly folder: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #queue: LogQueue
  readonly #tlog: TlogWriter | undefined
  readonly #stopped = new AbortController()
  #flushing: Promise<void> | undefined
  #overview = new Overview()
  #pictures = new Set<Promise<void>>()
  #picturesLeftOut = 0
  #tlogTrouble = false
  #held = false
  #offsetsMs: number[] = []

  constructor(options: FlightLogOptions) {
    const { dir, info, limits = {}, storage = diskStorage, clock } = options
    this.info = info
    this.folder = join(dir, info.id)
    this.#clock = clock
    this.#log = options.log
    this.#queue = new LogQueue({
      storage,
      path: part => join(this.folder, `${info.side}${part === 1 ? '' : `-${part}`}.mcap`),
      maxFileBytes: limits.maxFileBytes ?? 512e6,
      maxFileMs: limits.maxFileMs ?? 3_600_000,
      maxWaitingBytes: limits.maxWaitingBytes ?? 16e6,
      onOpen: file => file.addMetadata(FLIGHT_RECORD, flightRecord(info)),
      onEnd: file => this.#endFile(file),
      onTrouble: reason =>
        this.#log.warn(`The flight is not logged: ${reason}. It goes on; logging resumes when it can`),
      onResumed: lost => {
        this.#log.info(`The flight is logged again${lost > 0 ? `; ${lost} messages were lost` : ''}`)
        this.event('log-gap', `The log has a gap: ${lost} messages were lost`, 'warning')
      },
      clock,
    })
    if (options.tlog) this.#tlog = new TlogWriter(join(this.folder, 'flight.tlog'), storage)
  }

  /** Messages that could not be written. */
  get lost(): number {
    return this.#queue.lost + (this.#tlog?.lost ?? 0) + this.#picturesLeftOut
  }

  /** Why nothing is written, while it is so. */
  get trouble(): string | undefined {
    return this.#queue.trouble
  }

  /** Bytes on the disk. */
  get bytes(): number {
    return this.#queue.bytes + (this.#tlog?.bytes ?? 0)
  }

  start(): void {
    this.#queue.start()
    if (this.#tlog !== undefined) this.#flushing = this.#flushTlog(this.#tlog)
    this.event('flight-start', `Flight ${this.info.id} begins`)
  }

  /** Ends the files, each with its summary. */
  async stop(): Promise<void> {
    this.event('flight-end', `Flight ${this.info.id} ends`)
    await Promise.all(this.#pictures)
    this.#stopped.abort()
    await this.#flushing
    await this.#queue.stop()
    await this.#tlog?.close()
    if (this.lost > 0) this.#log.warn(`The log of flight ${this.info.id} lacks ${this.lost} messages`)
  }

  /** Nothing is written while there is no room. @param why a sentence; undefined: there is room */
  hold(why: string | undefined): void {
    this.#held = why !== undefined
    this.#queue.hold(why)
  }

  /** A message exactly as it crossed the link; the bytes must not change afterwards. @param sentUs of its envelope, where it came from the other side */
  envelope(what: What, bytes: Uint8Array, sentUs?: bigint): void {
    const nowMs = this.#clock.nowMs()
    const topic: Topic = `/link/${what}`
    this.#queue.add(topic, schemaOf(topic), nowMs, bytes)
    // The quickest message says best how far the clocks are apart.
    if (sentUs !== undefined && this.info.side === 'ground') {
      this.#offsetsMs.push(nowMs - Number(sentUs) / 1000)
      if (this.#offsetsMs.length > 64) this.#offsetsMs = [Math.min(...this.#offsetsMs)]
    }
  }

  /** The frames of a segment, picture by picture as the clip has them, each under the moment at which it was taken. */
  sampled(segment: Segment): void {
    this.#guard('a segment', () => {
      const { format, pictures } = splitSegment(segment)
      pictures.forEach((data, i) => {
        const timeMs = Number(segment.frames[i].captureUs) / 1000
        const message = { timestamp: timestampOf(timeMs), frameId: 'camera', data, format }
        this.#add('/camera/sampled', CompressedVideoSchema, timeMs, message)
      })
    })
  }

  /** Labels of a frame; they are copied. @param timeMs when the frame was taken */
  labels(whose: 'student' | 'teacher' | 'frozen', timeMs: number, map: LabelMap): void {
    if (this.#pictures.size >= MOST_PICTURES) {
      this.#picturesLeftOut += 1
      return
    }
    const picture = encodeLabelPicture(map, this.info.palette)
      .then(data => {
        const message = { timestamp: timestampOf(timeMs), frameId: 'camera', data, format: 'png' }
        this.#add(`/labels/${whose}`, CompressedImageSchema, timeMs, message)
      })
      .catch(error => this.#log.debug(`Labels could not be logged: ${messageOf(error)}`))
      .finally(() => this.#pictures.delete(picture))
    this.#pictures.add(picture)
  }

  telemetry(telemetry: Telemetry | MessageInitShape<typeof TelemetrySchema>): void {
    this.#add('/agent/telemetry', TelemetrySchema, this.#clock.nowMs(), telemetry)
  }

  /** Payload bytes so far. */
  traffic({ up, down }: { up: number; down: number }): void {
    const timeUs = this.#nowUs()
    const message = { timeUs, upBytes: BigInt(up), downBytes: BigInt(down) }
    this.#add('/agent/traffic', LinkTrafficSchema, this.#clock.nowMs(), message)
  }

  /** State of the vehicle, and its position where that is known. */
  vehicle(vehicle: VehicleInit): void {
    const nowMs = this.#clock.nowMs()
    this.#add('/vehicle/state', VehicleSchema, nowMs, vehicle)
    const pose = vehicle.pose as PoseInit | undefined
    if (pose?.positioned) {
      const { latitudeDeg: latitude, longitudeDeg: longitude, altitudeM: altitude } = pose
      this.#add('/vehicle/position', LocationFixSchema, nowMs, {
        timestamp: timestampOf(nowMs),
        frameId: 'vehicle',
        ...{ latitude, longitude, altitude, heading: pose.yawRad },
      })
    }
  }

  /** A MAVLink packet, whole, in either direction; copied. */
  packet(packet: Uint8Array): void {
    this.#tlog?.add(this.#clock.nowMs(), packet)
  }

  phase(phase: MessageInitShape<typeof LearningPhaseSchema>): void {
    const message = { ...phase, timeUs: this.#nowUs() }
    this.#add('/learning/phase', LearningPhaseSchema, this.#clock.nowMs(), message)
  }

  /** @param score with `timeUs`, when the frame was taken */
  score(score: MessageInitShape<typeof LearningScoreSchema> & { timeUs: bigint }): void {
    this.#add('/learning/score', LearningScoreSchema, Number(score.timeUs) / 1000, score)
  }

  /** @param type one of those in proto/flight.proto @param text a sentence for people */
  event(type: string, text: string, severity: keyof typeof severities = 'info'): void {
    const message = { timeUs: this.#nowUs(), type, text, severity: severities[severity] }
    this.#add('/events', EventSchema, this.#clock.nowMs(), message)
  }

  /** Lines from `info` on are logged. */
  line({ level, part, message }: LogLine): void {
    if (level === 'debug') return
    const nowMs = this.#clock.nowMs()
    const line = { timestamp: timestampOf(nowMs), level: levels[level], name: part, message }
    this.#add('/log', LogSchema, nowMs, line)
  }

  #add<S extends Parameters<typeof create>[0]>(
    topic: Topic,
    schema: S,
    timeMs: number,
    init: MessageInitShape<S>,
  ): void {
    this.#guard(topic, () => {
      const message = create(schema, init)
      this.#queue.add(topic, schema, timeMs, toBinary(schema, message))
      this.#overview.add(topic, timeMs, message)
    })
  }

  #nowUs(): bigint {
    return BigInt(Math.round(this.#clock.nowMs() * 1000))
  }

  /** What cannot be logged is no reason for anything else to fail. */
  #guard(what: string, run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#log.debug(`${what} could not be logged: ${messageOf(error)}`)
    }
  }

  async #endFile(file: McapFile): Promise<void> {
    const overview = this.#overview.data()
    this.#overview = new Overview()
    const nowNs = this.#nowUs() * 1000n
    const offsetMs = this.#offsetsMs.length > 0 ? Math.min(...this.#offsetsMs) : undefined
    await file.addAttachment(OVERVIEW, 'application/json', nowNs, Buffer.from(JSON.stringify(overview)))
    await file.addMetadata(SUMMARY_RECORD, summaryRecord(overview, { lost: this.lost, offsetMs }))
  }

  async #flushTlog(tlog: TlogWriter): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await this.#clock.sleep(TLOG_FLUSH_MS, signal)
      if (this.#held || (this.#queue.trouble !== undefined && this.#tlogTrouble)) continue
      const failure = await tlog.flush()
      if (failure !== undefined && !this.#tlogTrouble && this.#queue.trouble === undefined) {
        this.#log.warn(`MAVLink packets are not logged: ${messageOf(failure)}. Trying on`)
      }
      this.#tlogTrouble = failure !== undefined
    }
  }
}
