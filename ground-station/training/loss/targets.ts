import { IGNORE } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import { countPixels } from './class-weights.js'
import { linearMap } from './interpolation.js'

/** The two weights of linear up-sampling by output index: `low` gets 1 − weight, `high` gets weight. */
interface Axis {
  low: Uint32Array
  high: Uint32Array
  weight: Float64Array
}

function axis(from: number, to: number): Axis {
  const { weights } = linearMap(from, to)
  const low = new Uint32Array(to)
  const high = new Uint32Array(to)
  const weight = new Float64Array(to)
  for (let i = 0; i < to; i++) {
    let k = 0
    while (weights[i * from + k] === 0) k++
    low[i] = k
    high[i] = Math.min(k + 1, from - 1)
    weight[i] = 1 - weights[i * from + k]
  }
  return { low, high, weight }
}

/**
 * ω of a pixel by its class, [C]: the class's weight over the sum of the weights of all labelled pixels of the batch, so that the loss is a mean.
 * All 0 where no pixel counts.
 *
 * @param weights [C]; 1 each where not given
 * @throws UserError where a label is no class of the student
 */
export function pixelWeights(labels: Uint8Array, classes: number, weights?: Float32Array): Float64Array {
  const counts = countPixels(labels)
  const wrong = counts.findIndex((count, label) => count > 0 && label >= classes && label !== IGNORE)
  if (wrong >= 0) {
    throw new UserError(
      `The labels hold class ${wrong}; the student has ${classes} classes (0..${classes - 1}, ${IGNORE} = no label)`,
    )
  }
  const all = Float64Array.from({ length: classes }, (_, c) => weights?.[c] ?? 1)
  const sum = all.reduce((total, weight, c) => total + weight * counts[c], 0)
  return all.map(weight => (sum > 0 ? weight / sum : 0))
}

/** Turns labels into what the loss head takes (loss/head.ts). */
export class Targets {
  readonly #classes: number
  readonly #h: number
  readonly #w: number
  readonly #rows: Axis
  readonly #columns: Axis
  readonly #line: Float64Array
  readonly #sums: Float64Array

  constructor(options: { classes: number; h: number; w: number; labelHeight: number; labelWidth: number }) {
    const { classes, h, w, labelHeight, labelWidth } = options
    this.#classes = classes
    this.#h = h
    this.#w = w
    this.#rows = axis(h, labelHeight)
    this.#columns = axis(w, labelWidth)
    this.#line = new Float64Array(w * classes)
    this.#sums = new Float64Array(h * w * classes)
  }

  /**
   * One image.
   *
   * @param labels [labelHeight,labelWidth]
   * @param omega ω by class, [C] (`pixelWeights`)
   * @param target out: Rᵀ(ω·onehot), [C,h,w]
   * @param weight out: ω, [labelHeight,labelWidth]
   */
  fill(labels: Uint8Array, omega: Float64Array, target: Float32Array, weight: Float32Array): void {
    const columns = this.#columns
    const rows = this.#rows
    const classes = this.#classes
    const line = this.#line
    const sums = this.#sums.fill(0)
    const width = columns.low.length
    for (let y = 0, i = 0; y < rows.low.length; y++) {
      line.fill(0)
      for (let x = 0; x < width; x++, i++) {
        const label = labels[i]
        weight[i] = label === IGNORE ? 0 : omega[label]
        if (label === IGNORE) continue
        line[columns.low[x] * classes + label] += 1 - columns.weight[x]
        line[columns.high[x] * classes + label] += columns.weight[x]
      }
      const low = rows.low[y] * line.length
      const high = rows.high[y] * line.length
      for (let k = 0; k < line.length; k++) {
        const value = line[k]
        if (value === 0) continue
        sums[low + k] += value * (1 - rows.weight[y])
        sums[high + k] += value * rows.weight[y]
      }
    }
    // [h,w,C] → [C,h,w]
    const plane = this.#h * this.#w
    for (let p = 0; p < plane; p++) {
      for (let c = 0; c < classes; c++) target[c * plane + p] = sums[p * classes + c] * omega[c]
    }
  }
}
