import { decodeSegment, Scaler, type Segment, VideoCodec } from '@kestrel/link'
import { ConfusionMatrix, type LabelMap, type RgbImage, type Student, toPlanar } from '@kestrel/models'
import { type Log, UserError } from '@kestrel/runtime'
import type { Teacher } from '../teacher/teacher.js'
import { labelFrame } from './labeller.js'
import { isLabelled, type ReplayBuffer } from './replay-buffer.js'

const codecs = {
  [VideoCodec.H264]: 'h264',
  [VideoCodec.HEVC]: 'hevc',
  [VideoCodec.AV1]: 'av1',
} as const

/** Frames further apart than this are no neighbours, ms: ASR samples one frame in 10 s at least. */
const NEIGHBOURS_MS = 60_000

/** A frame of a segment, and what the teacher says about it. */
export interface SeenFrame {
  /** When it was taken, ms of the drone's clock (Unix time). */
  captureMs: number
  sourceIndex: number
  /** As it came. */
  image: RgbImage
  /** [3,H,W] at the student's size. */
  planar: Uint8Array
  labels: LabelMap
}

/** What a segment brought. */
export interface SegmentIntakeResult {
  /** Frames that were labelled. */
  frames: number
  /** φ over the segment where it had frames to compare. */
  phi?: number
  /** The frames that have a label, oldest first. */
  seen: SeenFrame[]
}

/**
 * What happens to a segment on arrival: decode, label, add to the replay buffer; and the agreement φ between the labels of
 * consecutive frames, for ASR.
 */
export class SegmentIntake {
  readonly #student: Student
  readonly #teacher: Teacher
  readonly #buffer: ReplayBuffer
  readonly #log: Log
  readonly #scaler = new Scaler()
  #last: { timeMs: number; labels: LabelMap } | undefined
  #newFrames = 0
  #phis: number[] = []
  #saidUnlabelled = false

  constructor(options: { student: Student; teacher: Teacher; buffer: ReplayBuffer; log: Log }) {
    this.#student = options.student
    this.#teacher = options.teacher
    this.#buffer = options.buffer
    this.#log = options.log
  }

  /** Frames added since `take`. */
  get newFrames(): number {
    return this.#newFrames
  }

  /** What has come since the last call: frames, and φ over all of them. */
  take(): { newFrames: number; phi?: number } {
    const phi = mean(this.#phis)
    const taken = { newFrames: this.#newFrames, ...(phi === undefined ? {} : { phi }) }
    this.#newFrames = 0
    this.#phis = []
    return taken
  }

  /** See `GroundSession.addSegment`. */
  async add(segment: Segment): Promise<SegmentIntakeResult> {
    const codec = codecs[segment.codec as keyof typeof codecs]
    if (codec === undefined) {
      throw new UserError(
        `A segment came in video codec ${segment.codec}, which this version does not know: update it`,
      )
    }
    const { width, height, frames, video } = segment
    const images = await decodeSegment(video, { codec, width, height, frames: frames.length })
    const phis: number[] = []
    const seen: SeenFrame[] = []
    for (const [i, image] of images.entries()) {
      const timeMs = Number(frames[i].captureUs) / 1000
      const reference = { sourceIndex: Number(frames[i].sourceIndex), captureMs: timeMs }
      const labels = await labelFrame(this.#teacher, this.#student, image, reference)
      const phi = this.#agreement(timeMs, labels)
      if (phi !== undefined) phis.push(phi)
      this.#last = { timeMs, labels }
      if (!isLabelled(labels)) {
        this.#sayUnlabelled(reference.sourceIndex)
        continue
      }
      const { width: w, height: h } = this.#student.input
      const planar = toPlanar(this.#scaler.scale(image, w, h))
      if (!this.#buffer.add({ timeMs, image: planar, labels })) continue
      seen.push({ ...reference, image, planar, labels })
      this.#newFrames++
    }
    this.#phis.push(...phis)
    const phi = mean(phis)
    return { frames: seen.length, ...(phi === undefined ? {} : { phi }), seen }
  }

  /** φ between this frame and the one before: not where another came in between, or came later, as after an outage. */
  #agreement(timeMs: number, labels: LabelMap): number | undefined {
    const last = this.#last
    if (last === undefined || timeMs <= last.timeMs || timeMs > last.timeMs + NEIGHBOURS_MS) return undefined
    return agreement(last.labels, labels, this.#student)
  }

  #sayUnlabelled(sourceIndex: number): void {
    if (this.#saidUnlabelled) return
    this.#saidUnlabelled = true
    this.#log.warn(
      `Frame ${sourceIndex} has no label in any of the student's classes: such frames are left out`,
    )
  }
}

/** mIoU 0..1 between the labels of two frames, the earlier one taken for the truth. */
function agreement(before: LabelMap, after: LabelMap, student: Student): number | undefined {
  if (before.width !== after.width || before.height !== after.height) return undefined
  const matrix = new ConfusionMatrix(student.output.classes)
  matrix.add(before, after)
  return matrix.miou()
}

function mean(values: number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length
}
