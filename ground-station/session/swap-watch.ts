import { ConfusionMatrix, type Student } from '@kestrel/models'
import { confusions } from './gate.js'
import type { SessionOptions } from './options.js'
import type { LabelledFrame } from './replay-buffer.js'

/** Frames that are looked at in one phase, the newest: labelling them twice must not take the time for training. */
const MAX_FRAMES_A_PHASE = 16

/** Frames after which a swap that did not turn out bad is not watched any more. */
const MAX_FRAMES = 64

/** How two versions label the same live frames: the one that flies, and the one before the swap. mIoU 0..1 over all of them. */
export interface LiveScores {
  frames: number
  before: number
  after: number
  /** Frames that the version before labels better. */
  worse: number
}

/** A frame as the version before and the one that flies label it. */
export interface LivePair {
  before: ConfusionMatrix
  after: ConfusionMatrix
}

/**
 * Watches a swap by the frames that were labelled after it, on which neither version was trained: what the gate could only guess from
 * frames that came before. Both versions label the same frames, so that a scene which turned harder says nothing.
 */
export class SwapWatch {
  readonly #student: Student
  readonly #threads: number | undefined
  readonly #options: SessionOptions['rollBack']
  #before: Float32Array | undefined
  #pairs: LivePair[] = []
  #skip = 0

  constructor(options: { student: Student; threads?: number; options: SessionOptions['rollBack'] }) {
    this.#student = options.student
    this.#threads = options.threads
    this.#options = options.options
  }

  /**
   * The drone flies other weights.
   *
   * @param before the parameters that it flew, [P]
   * @param labelled frames that came since the last phase, before it said so: they say nothing about the swap
   */
  begin(before: Float32Array, labelled: number): void {
    if (!this.#options.enabled) return
    this.#before = before
    this.#pairs = []
    this.#skip = labelled
  }

  end(): void {
    this.#before = undefined
    this.#pairs = []
  }

  /**
   * Labels the frames of a period with both versions.
   *
   * @param frames new ones, oldest first, none of which was trained on
   * @param flown parameters that the drone flies, [P]
   * @returns how they compare so far; undefined where nothing is watched
   */
  async look(frames: readonly LabelledFrame[], flown: Float32Array): Promise<LiveScores | undefined> {
    if (this.#before === undefined) return undefined
    const seen = frames.slice(this.#skip).slice(-MAX_FRAMES_A_PHASE)
    this.#skip = 0
    const options = { threads: this.#threads }
    const before = await confusions(this.#student, this.#before, seen, options)
    const after = await confusions(this.#student, flown, seen, options)
    this.#pairs.push(...before.map((matrix, i) => ({ before: matrix, after: after[i] })))
    const scores = liveScores(this.#pairs)
    if (this.#pairs.length >= MAX_FRAMES) this.end()
    return scores
  }

  /** Whether the drone should fly the version before again. */
  fell(scores: LiveScores): boolean {
    return hasFallen(scores, this.#options)
  }
}

/**
 * Enough frames, a mIoU over all of them that is lower by the margin, and two frames in three that are worse: one odd frame, or a rare
 * class that comes and goes, is no reason to go back.
 */
export function hasFallen(
  { frames, before, after, worse }: LiveScores,
  { minFrames, margin }: Pick<SessionOptions['rollBack'], 'minFrames' | 'margin'>,
): boolean {
  return frames >= minFrames && before - after > margin && 3 * worse >= 2 * frames
}

/** Compares frame by frame and over all frames; those without a labelled pixel are left out. */
export function liveScores(pairs: LivePair[]): LiveScores | undefined {
  const counted = pairs.filter(({ before }) => before.miou() !== undefined)
  if (counted.length === 0) return undefined
  const sum = (side: keyof LivePair) => {
    const total = new ConfusionMatrix(counted[0][side].classes)
    for (const pair of counted) total.addMatrix(pair[side])
    return total.miou()!
  }
  const worse = counted.filter(({ before, after }) => after.miou()! < before.miou()!).length
  return { frames: counted.length, before: sum('before'), after: sum('after'), worse }
}
