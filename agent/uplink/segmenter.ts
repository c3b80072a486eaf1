import { create } from '@bufbuild/protobuf'
import {
  codecFor,
  encodeSegment,
  type PoseInit,
  Scaler,
  type Segment,
  SegmentSchema,
  VideoCodec,
} from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import type { Frame } from '../camera/camera.js'
import type { SegmentCodec, SegmentEncode } from './encoding.js'

export interface SegmenterOptions {
  codec: SegmentCodec
  /** Budget for what the encoder writes, kbit/s. */
  uplinkKbps: number
  /** T_update, seconds: how long one segment usually lasts. */
  periodS: number
  /** Size of the sampled frames, even; see `sampledSize`. */
  width: number
  height: number
  /** Most frames in one segment; beyond it the oldest are dropped and counted. */
  maxFrames?: number
  /** In-process encoding unless given. */
  encode?: SegmentEncode
  /** Where the vehicle was at a moment (Clock, ms); asked once the segment is encoded, when later messages have come. */
  poseAt?: (captureMs: number) => PoseInit | undefined
}

const codecs: Record<SegmentCodec, VideoCodec> = {
  h264: VideoCodec.H264,
  hevc: VideoCodec.HEVC,
  av1: VideoCodec.AV1,
}

/** The size at which frames are sent: twice the student's where the camera has it, even as 4:2:0 video needs. */
export function sampledSize(
  camera: { width: number; height: number },
  student: { width: number; height: number },
): { width: number; height: number } {
  const even = (pixels: number) => Math.max(2, pixels - (pixels % 2))
  return {
    width: even(Math.min(camera.width, 2 * student.width)),
    height: even(Math.min(camera.height, 2 * student.height)),
  }
}

/** What the raw frames of one segment may take together, pixels: 0.36 GB as RGB, and within what the ground decodes. */
const MAX_PIXELS = 120_000_000

interface Held {
  frame: Omit<Frame, 'image'>
  image: RgbImage
}

/** Collects the frames sampled within one T_update and encodes them as one clip (DESIGN.md section 3, uplink). */
export class Segmenter {
  readonly #options: Required<SegmenterOptions>
  readonly #scaler = new Scaler()
  #held: Held[] = []
  #beginMs: number | undefined
  #sequence = 0n
  #dropped = 0

  constructor(options: SegmenterOptions) {
    const { width, height, maxFrames = 120, encode = encodeSegment, poseAt = () => undefined } = options
    if (width % 2 !== 0 || height % 2 !== 0) {
      throw new RangeError(`Segments of ${width}x${height}: both sides must be even`)
    }
    const most = Math.max(1, Math.min(maxFrames, Math.floor(MAX_PIXELS / (width * height))))
    this.#options = { ...options, maxFrames: most, encode, poseAt }
  }

  /** Frames that wait for the next segment. */
  get frames(): number {
    return this.#held.length
  }

  /** Frames dropped because a segment was full. */
  get dropped(): number {
    return this.#dropped
  }

  /** When the window in progress began; undefined before the first frame. */
  get beginMs(): number | undefined {
    return this.#beginMs
  }

  get periodS(): number {
    return this.#options.periodS
  }

  /** Changes the budget or T_update from the next segment on. */
  configure(change: { uplinkKbps?: number; periodS?: number }): void {
    const { uplinkKbps = this.#options.uplinkKbps, periodS = this.#options.periodS } = change
    Object.assign(this.#options, { uplinkKbps, periodS })
  }

  /** Takes a sampled frame; its pixels are scaled (or copied) at once and may be reused by the caller. */
  add(frame: Frame): void {
    const { width, height, maxFrames } = this.#options
    const { image, ...rest } = frame
    const same = image.width === width && image.height === height
    const scaled = same ? { ...image, data: image.data.slice() } : this.#scaler.scale(image, width, height)
    this.#beginMs ??= frame.captureMs
    this.#held.push({ frame: rest, image: scaled })
    if (this.#held.length > maxFrames) {
      this.#held.shift()
      this.#dropped += 1
    }
  }

  /**
   * Ends the window and encodes what it holds; frames added meanwhile go to the next one.
   *
   * @param endMs end of the window, and begin of the next
   * @param modelVersion what flies now, for the record
   * @returns undefined when no frame was sampled
   */
  async flush(endMs: number, modelVersion = 0): Promise<Segment | undefined> {
    const { uplinkKbps, periodS, width, height, encode, poseAt } = this.#options
    const codec = codecFor(this.#options.codec, width)
    const beginMs = this.#beginMs ?? endMs
    const held = this.#held
    this.#held = []
    this.#beginMs = endMs
    if (held.length === 0) return undefined
    this.#sequence += 1n
    const sequence = this.#sequence
    const images = held.map(({ image }) => image)
    // A window that was cut short has less to spend; one that went on over a hole has no more than the usual.
    const durationS = Math.max(0.1, Math.min(periodS, (endMs - beginMs) / 1000))
    const video = await encode(images, { codec, targetKbps: uplinkKbps, durationS })
    return create(SegmentSchema, {
      sequence,
      codec: codecs[codec],
      width,
      height,
      video,
      modelVersion,
      beginUs: microseconds(beginMs),
      endUs: microseconds(endMs),
      frames: held.map(({ frame }) => ({
        frameId: BigInt(frame.id),
        captureUs: microseconds(frame.captureMs),
        sourceIndex: BigInt(frame.sourceIndex),
        pose: poseAt(frame.captureMs),
      })),
    })
  }

  dispose(): void {
    this.#scaler.dispose()
  }
}

function microseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1000))
}
