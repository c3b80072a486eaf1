import { ConfusionMatrix } from '@kestrel/models'

/** mIoU of the trailing window that ends at one frame. */
export interface ScorePoint {
  /** Seconds since the first frame. */
  t: number
  /** 0..1; undefined where the window holds no labelled pixel. */
  miou: number | undefined
}

export interface Score {
  /** Mean over all frames of the mIoU of the window that ends there, 0..1. */
  miouWindow: number | undefined
  /** mIoU of one confusion matrix over the whole video. */
  miouVideo: number | undefined
  /** mIoU of one confusion matrix over the frames of the second half of the time. */
  miouSecondHalf: number | undefined
  /** Per class, over the whole video; undefined where the class occurs in neither truth nor prediction. */
  perClassIou: (number | undefined)[]
  series: ScorePoint[]
}

/**
 * The metric of AMS (section 4.1): mIoU from the confusion matrix of a trailing window, averaged over time from
 * t = 0. The window that ends at t holds the frames of (t − windowS, t], so the first windows are short; classes that
 * the window's truth does not hold are left out of its mean.
 */
export class Scorer {
  readonly #classes: number
  readonly #windowS: number
  readonly #window: ConfusionMatrix
  readonly #video: ConfusionMatrix
  readonly #secondHalf: ConfusionMatrix
  readonly #halfS: number
  readonly #frames: { t: number; matrix: ConfusionMatrix }[] = []
  readonly #series: ScorePoint[] = []

  /**
   * @param options.durationS length of the video, s, of which the second half is scored by itself too
   * @param options.windowS length of the trailing window, s
   */
  constructor(classes: number, options: { durationS: number; windowS?: number }) {
    const { durationS, windowS = 10 } = options
    this.#halfS = durationS / 2
    this.#classes = classes
    this.#windowS = windowS
    this.#window = new ConfusionMatrix(classes)
    this.#video = new ConfusionMatrix(classes)
    this.#secondHalf = new ConfusionMatrix(classes)
  }

  /**
   * Adds the frame at `t` seconds; times ascend.
   *
   * @param truth class index per pixel, IGNORE = 255 where nothing is known
   * @param predicted class index per pixel, same size
   * @returns mIoU of the window that ends here
   */
  add(t: number, truth: Uint8Array, predicted: Uint8Array): number | undefined {
    const matrix = new ConfusionMatrix(this.#classes)
    matrix.add(truth, predicted)
    this.#frames.push({ t, matrix })
    this.#window.addMatrix(matrix)
    this.#video.addMatrix(matrix)
    if (t >= this.#halfS) this.#secondHalf.addMatrix(matrix)
    // A nanosecond of tolerance: 10 s at 30 fps is not a whole number of binary fractions.
    while (this.#frames[0].t <= t - this.#windowS + 1e-9) {
      this.#window.subtractMatrix(this.#frames.shift()!.matrix)
    }
    const miou = this.#window.miou()
    this.#series.push({ t, miou })
    return miou
  }

  score(): Score {
    return {
      miouWindow: mean(this.#series),
      miouVideo: this.#video.miou(),
      miouSecondHalf: this.#secondHalf.miou(),
      perClassIou: this.#video.iou(),
      series: [...this.#series],
    }
  }
}

function mean(points: ScorePoint[]): number | undefined {
  const known = points.flatMap(({ miou }) => (miou === undefined ? [] : [miou]))
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length
}
