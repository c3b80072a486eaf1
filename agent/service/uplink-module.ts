import { join } from 'node:path'
import { type Control, decodeEnvelope, encodeEnvelope, type PoseInit, type Segment } from '@kestrel/link'
import { type Clock, type Log, messageOf } from '@kestrel/runtime'
import type { Frame } from '../camera/camera.js'
import { Sampler } from '../sampling/sampler.js'
import { UplinkBudget } from '../uplink/budget.js'
import { SegmentEncoder } from '../uplink/encoder.js'
import { chooseEncoder } from '../uplink/encoder-choice.js'
import { Outbox } from '../uplink/outbox.js'
import { diskSegmentStore } from '../uplink/segment-store.js'
import { Segmenter, sampledSize } from '../uplink/segmenter.js'
import type { AgentConfig } from './config.js'
import type { Module } from './modules.js'
import type { StudentModule } from './student-module.js'

/** How long the last segments may take to leave when the agent stops, ms. */
const DRAIN_MS = 5000

/** Samples frames, encodes them segment by segment, and keeps the segments until the ground has them. */
export class UplinkModule implements Module {
  readonly name = 'uplink'
  readonly #config: AgentConfig
  readonly #student: StudentModule
  readonly #publish: (message: Uint8Array) => Promise<void>
  readonly #clock: Clock
  readonly #log: Log
  readonly #sampler: Sampler
  readonly #encoder = new SegmentEncoder({
    onFailure: reason =>
      this.#log.warn(`The hardware encoder failed, software encodes from here on: ${reason}`),
  })
  readonly #onSegment: ((segment: Segment) => void) | undefined
  readonly #poseAt: ((captureMs: number) => PoseInit | undefined) | undefined
  /** What the radio bears. */
  readonly budget = new UplinkBudget()
  /** Why nothing is sampled. */
  readonly #holds = new Set<string>()
  #limits: { minFps: number; maxFps: number }
  #askedFps: number
  /** Counts up when the link goes down: what was on its way then took as long as the outage. */
  #outages = 0
  /** What the ground asked for last. */
  #control: { uplinkKbps?: number; periodS?: number } = {}
  /** Of the ground station that teaches, where there are several. */
  #term: bigint | undefined
  #up = false
  #segmenter: Segmenter | undefined
  #outbox: Outbox | undefined
  #flushing: Promise<void> | undefined
  /** Segments that could not be encoded. */
  #lost = 0
  #lastCaptureMs = 0

  constructor(
    config: AgentConfig,
    options: {
      student: StudentModule
      /** Delivers an encoded message on the segment topic. */
      publish: (message: Uint8Array) => Promise<void>
      /** Where the vehicle was at a moment. */
      poseAt?: (captureMs: number) => PoseInit | undefined
      /** Told each segment as it is encoded. */
      onSegment?: (segment: Segment) => void
      clock: Clock
      log: Log
    },
  ) {
    this.#config = config
    this.#student = options.student
    this.#publish = options.publish
    this.#poseAt = options.poseAt
    this.#onSegment = options.onSegment
    this.#clock = options.clock
    this.#log = options.log.child('uplink')
    this.#sampler = new Sampler({ fps: config.sampling.fps })
    this.#askedFps = config.sampling.fps
    const { minFps, maxFps } = config.sampling
    this.#limits = { minFps, maxFps }
  }

  /** Frames/s between which the rate stays whatever the ground asks for. */
  get limits(): { minFps: number; maxFps: number } {
    return this.#limits
  }

  set limits(limits: { minFps: number; maxFps: number }) {
    this.#limits = limits
    this.#setRate()
  }

  get held(): boolean {
    return this.#holds.size > 0
  }

  /** Why nothing is sampled, in words; empty where frames are. */
  get holds(): string[] {
    return [...this.#holds]
  }

  /** Stops sampling for a reason, or no longer for that one. @param why such as `paused by the ground` */
  hold(why: string, on: boolean): void {
    if (this.#holds.has(why) === on) return
    if (on) this.#holds.add(why)
    else this.#holds.delete(why)
    const others = [...this.#holds].filter(other => other !== why)
    if (others.length > 0) return
    this.#log.info(on ? `Sampling stops: ${why}` : `Sampling goes on: no longer ${why}`)
  }

  /** Samples at once, and as often as the limit allows for as long as this is called. */
  hasten(): void {
    this.#sampler.hasten(1000 / this.#limits.maxFps)
  }

  get samplingFps(): number {
    return this.#sampler.fps
  }

  get waiting(): number {
    return this.#outbox?.length ?? 0
  }

  /** Bytes that wait on the disk. */
  get waitingBytes(): number {
    return this.#outbox?.bytes ?? 0
  }

  /** Segments of which nobody knows that the ground has them, and which are not kept any more. */
  get dropped(): number {
    return this.#lost + (this.#outbox?.dropped ?? 0) + (this.#outbox?.unconfirmed ?? 0)
  }

  get sent(): number {
    return this.#outbox?.sent ?? 0
  }

  start(): void {
    this.#encoder.start()
    const { uplink, stateDir } = this.#config
    // Until it is decided software encodes.
    void chooseEncoder({ codec: uplink.codec, wanted: uplink.encoder }).then(({ kind, reason }) => {
      this.#encoder.use(kind)
      this.#log.info(`Segments are encoded by ${reason}`)
    })
    this.#outbox = new Outbox({
      publish: message => this.#deliver(message),
      idOf: message => idOf(decodeEnvelope(message).id),
      store: diskSegmentStore(join(stateDir, 'outbox')),
      maxSegments: uplink.maxSegments,
      maxBytes: uplink.maxMB * 1e6,
      clock: this.#clock,
      log: this.#log,
    })
    const { length } = this.#outbox
    if (length > 0) this.#log.info(`${length} unsent segments of an earlier flight wait for the link`)
    this.#outbox.setUp(this.#up)
  }

  /** Ends the segment in progress and gives what waits a moment to leave; the rest is kept for the next flight. */
  async stop(): Promise<void> {
    await this.#flushing
    this.#flush(this.#lastCaptureMs)
    await this.#flushing
    if (this.#up) {
      const abort = new AbortController()
      await Promise.race([this.#outbox?.idle(), this.#clock.sleep(DRAIN_MS, abort.signal)])
      abort.abort()
    }
    this.#outbox?.setUp(false)
    await this.#encoder.stop()
    this.#segmenter?.dispose()
  }

  /** The ground has done with the segment that came under this message id. */
  receipt(id: Uint8Array): void {
    this.#outbox?.receipt(idOf(id))
  }

  setUp(up: boolean): void {
    if (!up) this.#outages += 1
    this.#up = up
    this.#outbox?.setUp(up)
  }

  /** Bytes that the disk has for unsent segments; `uplink.maxMB` holds as well. */
  limitDisk(bytes: number): void {
    this.#outbox?.limit(Math.min(bytes, this.#config.uplink.maxMB * 1e6))
  }

  /** What the ground asks for; zero means no opinion. */
  control({ samplingFps, updatePeriodS, uplinkKbps, paused, term }: Control): void {
    if (samplingFps > 0) this.#askedFps = samplingFps
    this.#setRate()
    if (updatePeriodS > 0) this.#control.periodS = Math.min(600, Math.max(0.5, updatePeriodS))
    if (uplinkKbps > 0) this.#control.uplinkKbps = Math.min(100_000, uplinkKbps)
    this.hold('paused by the ground', paused)
    if (term > 0n) {
      if (this.#term !== undefined && term !== this.#term) {
        this.#log.info('Another ground station of the cluster teaches: what has no receipt is sent again')
        this.#outbox?.resend()
      }
      this.#term = term
    }
    this.#segmenter?.configure(this.#control)
  }

  /** Offers a frame of the camera; takes some milliseconds for the few that are sampled. Never throws. @returns whether it was sampled */
  offer(frame: Frame): boolean {
    const segmenter = (this.#segmenter ??= this.#createSegmenter(frame.image))
    const { captureMs } = frame
    this.#lastCaptureMs = captureMs
    const { beginMs, periodS } = segmenter
    // While the encoder is busy the window stays open: late segments rather than a queue of raw frames.
    if (beginMs !== undefined && captureMs >= beginMs + periodS * 1000) this.#flush(captureMs)
    if (this.held || !this.#sampler.offer(captureMs)) return false
    try {
      segmenter.add(frame)
      return true
    } catch (error) {
      this.#log.warn(`Frame ${frame.id} could not be sampled: ${messageOf(error)}`)
      return false
    }
  }

  #setRate(): void {
    const { minFps, maxFps } = this.#limits
    this.#sampler.setRate(Math.min(maxFps, Math.max(minFps, this.#askedFps)))
  }

  async #deliver(message: Uint8Array): Promise<void> {
    const beganMs = this.#clock.nowMs()
    const outages = this.#outages
    await this.#publish(message)
    if (outages !== this.#outages) return
    const periodS = this.#segmenter?.periodS ?? this.#config.uplink.periodS
    this.budget.delivered(message.length, this.#clock.nowMs() - beganMs, periodS * 1000)
  }

  /** With the first frame: a camera that was not there at the start has had no size before. */
  #createSegmenter(size: { width: number; height: number }): Segmenter {
    const { codec, kbps, periodS } = this.#config.uplink
    return new Segmenter({
      codec,
      uplinkKbps: kbps,
      periodS,
      ...sampledSize(size, this.#student.student.input),
      ...this.#control,
      encode: this.#encoder.encode,
      poseAt: this.#poseAt,
    })
  }

  #flush(endMs: number): void {
    if (this.#flushing !== undefined) return
    this.#flushing = this.#encode(endMs).finally(() => {
      this.#flushing = undefined
    })
  }

  async #encode(endMs: number): Promise<void> {
    try {
      const wanted = this.#control.uplinkKbps ?? this.#config.uplink.kbps
      this.#segmenter?.configure({ uplinkKbps: this.budget.bound(wanted, this.#clock.nowMs()) })
      const segment = await this.#segmenter?.flush(endMs, this.#student.applier.version)
      if (segment === undefined) return
      this.#log.debug(
        `Segment ${segment.sequence}: ${segment.frames.length} frames, ${segment.video.length} bytes`,
      )
      this.#onSegment?.(segment)
      this.#outbox?.push(encodeEnvelope({ case: 'segment', value: segment }, { clock: this.#clock }))
    } catch (error) {
      this.#lost += 1
      this.#log.warn(`A segment could not be encoded and is lost: ${messageOf(error)}`)
    }
  }
}

function idOf(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}
