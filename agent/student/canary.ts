import { argmaxUpsampled, type RgbImage } from '@kestrel/models'
import { CANARY_FRAMES, type Trial } from './protocol.js'
import type { StudentSession } from './student-session.js'

export interface CanaryVerdict {
  ok: boolean
  /** A sentence for the log and the update's result. */
  detail: string
}

/** Runs a model on frames and says what came of each. */
export async function tryFrames(session: StudentSession, frames: RgbImage[]): Promise<Trial[]> {
  const trials: Trial[] = []
  for (const frame of frames) {
    const { data, height, width } = await session.logits(frame)
    const finite = data.every(Number.isFinite)
    // The arg-max at the logits' own size: a class that fills no cell there is no sign of life.
    const classes = data.length / (height * width)
    const labels = argmaxUpsampled(data, classes, height, width, height, width)
    trials.push({ finite, classes: countClasses(labels) })
  }
  return trials
}

/**
 * Whether new weights may fly: all logits finite, and not one class everywhere, unless the weights that fly now see one class
 * in that frame too.
 *
 * @param trials of the new weights, a frame each
 * @param before how many classes the flown weights saw in the same frames
 */
export function judge(trials: Trial[], before: number[]): CanaryVerdict {
  const infinite = trials.filter(({ finite }) => !finite).length
  if (infinite > 0) {
    return {
      ok: false,
      detail: `the new weights gave scores that are not finite on ${infinite} of ${trials.length} recent frames`,
    }
  }
  const judged = before.filter(classes => classes > 1).length
  const collapsed = trials.filter(({ classes }, i) => classes === 1 && before[i] > 1).length
  // One frame may fairly turn out to be of one class after all; all of them at once are a collapsed model.
  if (judged > 0 && collapsed === judged) {
    return {
      ok: false,
      detail: `the new weights see one class only on ${collapsed} recent frames where the flown ones see more`,
    }
  }
  return {
    ok: true,
    detail: trials.length === 0 ? 'no frame to try on yet' : `tried on ${trials.length} frames`,
  }
}

/** How many different values labels have. */
export function countClasses(labels: Uint8Array): number {
  const seen = new Uint8Array(256)
  for (let i = 0; i < labels.length; i++) seen[labels[i]] = 1
  return seen.reduce((sum, one) => sum + one, 0)
}

/** Every how many frames one is kept for the canary. */
const KEEP_EVERY = 10

/** The frames on which new weights are tried, with what the flown weights saw there; a ring. */
export class RecentFrames {
  /** [CANARY_FRAMES, H·W·3], packed RGB24. */
  readonly buffer: SharedArrayBuffer
  readonly #frames: RgbImage[]
  readonly #classes: number[] = []
  #offered = 0
  #kept = 0
  /** While set, the frames stay as they are: somebody is looking at them. */
  held = false

  constructor(width: number, height: number) {
    const bytes = 3 * width * height
    this.buffer = new SharedArrayBuffer(CANARY_FRAMES * bytes)
    this.#frames = Array.from({ length: CANARY_FRAMES }, (_, i) => ({
      width,
      height,
      data: new Uint8Array(this.buffer, i * bytes, bytes),
    }))
  }

  /** The first frames, then every tenth. */
  offer(image: RgbImage, labels: Uint8Array): void {
    const wanted = this.#kept < CANARY_FRAMES || this.#offered % KEEP_EVERY === 0
    this.#offered += 1
    if (!wanted || this.held) return
    const slot = this.#kept++ % CANARY_FRAMES
    this.#frames[slot].data.set(image.data)
    this.#classes[slot] = countClasses(labels)
  }

  get frames(): RgbImage[] {
    return this.#frames.slice(0, this.#classes.length)
  }

  /** How many classes the flown weights saw in each of `frames`. */
  get classes(): number[] {
    return [...this.#classes]
  }
}
