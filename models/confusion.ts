import { IGNORE, type LabelMap } from './image.js'

/**
 * Counts of (true class, predicted class) over pixels, from which IoU follows. Windows slide by adding and
 * subtracting whole matrices.
 */
export class ConfusionMatrix {
  readonly classes: number
  /** [classes,classes], row = truth, column = prediction. */
  readonly counts: Float64Array
  /** Per true class, pixels for which nothing was predicted (`IGNORE`): misses, but nobody's false alarm. */
  readonly missed: Float64Array

  constructor(classes: number) {
    this.classes = classes
    this.counts = new Float64Array(classes * classes)
    this.missed = new Float64Array(classes)
  }

  /**
   * Counts two label maps of the same size. Pixels without a true label are left out.
   *
   * @throws RangeError where sizes differ or a label is neither a class nor `IGNORE`
   */
  add(truth: LabelMap | Uint8Array, predicted: LabelMap | Uint8Array): void {
    const expected = truth instanceof Uint8Array ? truth : truth.data
    const found = predicted instanceof Uint8Array ? predicted : predicted.data
    if (expected.length !== found.length) {
      throw new RangeError(`Labels of ${expected.length} pixels compared with ${found.length}`)
    }
    // Counted apart first, so that a label that is no class leaves the matrix as it was.
    const pairs = new Uint32Array(256 * 256)
    for (let i = 0; i < expected.length; i++) pairs[(expected[i] << 8) | found[i]]++
    const { classes } = this
    const isLabel = (label: number) => label < classes || label === IGNORE
    pairs.forEach((count, pair) => {
      if (count > 0 && !(isLabel(pair >> 8) && isLabel(pair & 255))) {
        throw new RangeError(`Labels ${pair >> 8} and ${pair & 255}: there are ${classes} classes`)
      }
    })
    for (let row = 0; row < classes; row++) {
      for (let column = 0; column < classes; column++) {
        this.counts[row * classes + column] += pairs[(row << 8) | column]
      }
      this.missed[row] += pairs[(row << 8) | IGNORE]
    }
  }

  addMatrix(other: ConfusionMatrix): void {
    this.#combine(other, 1)
  }

  subtractMatrix(other: ConfusionMatrix): void {
    this.#combine(other, -1)
  }

  #combine(other: ConfusionMatrix, sign: 1 | -1): void {
    if (other.classes !== this.classes) {
      throw new RangeError(`A matrix of ${other.classes} classes combined with one of ${this.classes}`)
    }
    for (let i = 0; i < this.counts.length; i++) this.counts[i] += sign * other.counts[i]
    for (let i = 0; i < this.missed.length; i++) this.missed[i] += sign * other.missed[i]
  }

  /** Intersection over union of each class, 0..1; undefined where the class is neither in truth nor prediction. */
  iou(): (number | undefined)[] {
    return Array.from({ length: this.classes }, (_, k) => {
      const hit = this.counts[k * this.classes + k]
      const union = this.#truth(k) + this.#predictions(k) - hit
      return union > 0 ? hit / union : undefined
    })
  }

  /** Mean IoU over the classes that the truth has, 0..1; undefined where it has none. */
  miou(): number | undefined {
    const present = this.iou().filter((_, k) => this.#truth(k) > 0) as number[]
    return present.length === 0 ? undefined : present.reduce((sum, value) => sum + value, 0) / present.length
  }

  #truth(k: number): number {
    let sum = this.missed[k]
    for (let j = 0; j < this.classes; j++) sum += this.counts[k * this.classes + j]
    return sum
  }

  #predictions(k: number): number {
    let sum = 0
    for (let i = 0; i < this.classes; i++) sum += this.counts[i * this.classes + k]
    return sum
  }
}
