import { IGNORE, type LabelMap, resizeLabels } from '@kestrel/models'
import { type Rng, weightedSampleWithoutReplacement } from '@kestrel/runtime'
import type { Batch } from '../training/engine.js'
import { countPixels } from '../training/loss/class-weights.js'

/** A labelled frame as training needs it. */
export interface LabelledFrame {
  /** When the drone's camera took it, ms of the drone's clock. */
  timeMs: number
  /** [3,H,W] bytes at the student's size. */
  image: Uint8Array
  /** In student classes; the frames of a buffer share one label size. */
  labels: LabelMap
}

/**
 * The labelled frames of the last T_horizon seconds of one drone, oldest first, bounded also by number and memory. What
 * is forgotten is a whole frame, image and labels together.
 */
export class ReplayBuffer {
  readonly #horizonMs: number
  readonly #halfLifeMs: number
  readonly #maxFrames: number
  readonly #maxBytes: number
  #frames: LabelledFrame[] = []
  /** Pixels by label, [256], of each frame. */
  readonly #counts = new WeakMap<LabelledFrame, Uint32Array>()
  #bytes = 0
  /** Frames in a row that were too old and yet from one to the next newer, ms of the drone's clock: the first and the last of them. */
  #stale: { firstMs: number; lastMs: number } | undefined

  /**
   * @param options.horizonMs T_horizon
   * @param options.halfLifeMs a frame that is older by this much is drawn half as often; all alike without
   */
  constructor(options: { horizonMs: number; halfLifeMs?: number; maxFrames?: number; maxBytes?: number }) {
    const { horizonMs, halfLifeMs = Number.POSITIVE_INFINITY, maxFrames = 1000, maxBytes = 512e6 } = options
    this.#horizonMs = horizonMs
    this.#halfLifeMs = halfLifeMs
    this.#maxFrames = maxFrames
    this.#maxBytes = maxBytes
  }

  get length(): number {
    return this.#frames.length
  }

  /** Memory of the images and labels, bytes. */
  get bytes(): number {
    return this.#bytes
  }

  get frames(): readonly LabelledFrame[] {
    return this.#frames
  }

  /**
   * Adds a frame in the order of its time and forgets what is older than T_horizon before the newest. After an outage frames come newest
   * first: what is too old on arrival is left out, and so is a frame that is there already.
   *
   * Where frames are too old and get newer all the same, for a quarter of T_horizon, the drone's clock was set back (a companion computer
   * that restarts without a network): the frames of that other time are forgotten, so that they cannot stay for ever.
   *
   * @returns whether the frame was taken
   */
  add(frame: LabelledFrame): boolean {
    if (this.#isStale(frame)) return false
    const size = this.#frames[0]?.labels
    const labels = size === undefined ? frame.labels : resizeLabels(frame.labels, size.width, size.height)
    let at = this.#frames.length
    while (at > 0 && this.#frames[at - 1].timeMs > frame.timeMs) at--
    const twin = this.#frames[at - 1]
    if (twin?.timeMs === frame.timeMs && Buffer.compare(twin.image, frame.image) === 0) return false
    const kept = { ...frame, labels }
    this.#frames.splice(at, 0, kept)
    this.#counts.set(kept, countPixels(labels.data))
    this.#bytes += frame.image.length + labels.data.length
    const limitMs = this.#frames[this.#frames.length - 1].timeMs - this.#horizonMs
    while (
      this.#frames.length > 1 &&
      (this.#frames[0].timeMs < limitMs ||
        this.#frames.length > this.#maxFrames ||
        this.#bytes > this.#maxBytes)
    ) {
      const { image, labels: old } = this.#frames.shift()!
      this.#bytes -= image.length + old.data.length
    }
    return this.#frames[0].timeMs <= frame.timeMs
  }

  #isStale({ timeMs }: LabelledFrame): boolean {
    const newest = this.#frames.at(-1)
    if (newest === undefined || timeMs >= newest.timeMs - this.#horizonMs) {
      this.#stale = undefined
      return false
    }
    const firstMs = this.#stale !== undefined && timeMs > this.#stale.lastMs ? this.#stale.firstMs : timeMs
    this.#stale = { firstMs, lastMs: timeMs }
    if (timeMs - firstMs < this.#horizonMs / 4) return true
    this.clear()
    return false
  }

  clear(): void {
    this.#frames = []
    this.#bytes = 0
    this.#stale = undefined
  }

  /** Pixels by label, [256], of all frames but the newest `exclude`. */
  pixelCounts(exclude = 0): Float64Array {
    const sum = new Float64Array(256)
    for (const frame of this.#frames.slice(0, Math.max(0, this.#frames.length - exclude))) {
      this.#counts.get(frame)!.forEach((count, label) => {
        sum[label] += count
      })
    }
    return sum
  }

  /**
   * A mini-batch of the frames but the newest `exclude`, newer ones rather than older ones: B different frames, or all where there are fewer.
   *
   * @param size B
   * @returns undefined where no frame is left to train on
   */
  sample(rng: Rng, size: number, exclude = 0): Batch | undefined {
    const available = this.#frames.length - exclude
    if (available <= 0) return undefined
    const newestMs = this.#frames[available - 1].timeMs
    const weights = Float64Array.from(
      { length: available },
      // At least something: a weight of 0 could not be drawn where all others are.
      (_, i) => Math.max(2 ** ((this.#frames[i].timeMs - newestMs) / this.#halfLifeMs), 1e-300),
    )
    const chosen = weightedSampleWithoutReplacement(weights, size, rng)
    const { image, labels } = this.#frames[0]
    const images = new Uint8Array(chosen.length * image.length)
    const maps = new Uint8Array(chosen.length * labels.data.length)
    chosen.forEach((index, i) => {
      images.set(this.#frames[index].image, i * image.length)
      maps.set(this.#frames[index].labels.data, i * labels.data.length)
    })
    return { size: chosen.length, images, labels: maps, labelHeight: labels.height, labelWidth: labels.width }
  }
}

/** Whether at least one pixel has a label. */
export function isLabelled(map: LabelMap): boolean {
  return map.data.some(label => label !== IGNORE)
}
