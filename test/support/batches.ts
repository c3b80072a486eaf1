import type { Batch } from '@kestrel/ground-station'
import { IGNORE, type Student } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'

/** A batch of noise: images of independent pixels, labels of independent classes, some of them missing. */
export function noiseBatch(
  student: Student,
  options: {
    seed: number | string
    size?: number
    labelHeight?: number
    labelWidth?: number
    missing?: number
  },
): Batch {
  const { height, width } = student.input
  const { seed, size = 2, labelHeight = height, labelWidth = width, missing = 0.2 } = options
  const rng = createRng(`batch/${seed}`)
  return {
    size,
    images: Uint8Array.from({ length: size * 3 * height * width }, () => rng.int(256)),
    labels: Uint8Array.from({ length: size * labelHeight * labelWidth }, () =>
      rng.float() < missing ? IGNORE : rng.int(student.output.classes),
    ),
    labelHeight,
    labelWidth,
  }
}

/**
 * The loss as training/engine.ts defines it, in plain loops and double precision.
 *
 * @param logits [N,C,h,w]
 */
export function referenceLoss(logits: ArrayLike<number>, dims: readonly number[], batch: Batch): number {
  const [size, classes, h, w] = dims
  const { labels, labelHeight, labelWidth, classWeights } = batch
  let sum = 0
  let labelled = 0
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === IGNORE) continue
    const x = i % labelWidth
    const y = Math.floor(i / labelWidth) % labelHeight
    const n = Math.floor(i / (labelWidth * labelHeight))
    const scores = Array.from({ length: classes }, (_, c) => {
      const at = (row: number, column: number) => logits[((n * classes + c) * h + row) * w + column]
      const [top, bottom, down] = neighbours(y, labelHeight, h)
      const [left, right, across] = neighbours(x, labelWidth, w)
      const upper = at(top, left) * (1 - across) + at(top, right) * across
      const lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
      return upper * (1 - down) + lower * down
    })
    const most = Math.max(...scores)
    const total = scores.reduce((a, score) => a + Math.exp(score - most), 0)
    const weight = classWeights?.[labels[i]] ?? 1
    sum += weight * (Math.log(total) + most - scores[labels[i]])
    labelled += weight
  }
  if (size * labelHeight * labelWidth !== labels.length)
    throw new RangeError('logits and labels differ in batch size')
  return labelled === 0 ? 0 : sum / labelled
}

/** The two logits around a label's pixel along one axis (half-pixel centres), and the weight of the second. */
function neighbours(i: number, labels: number, logits: number): [number, number, number] {
  const at = Math.max(0, Math.min(logits - 1, ((i + 0.5) * logits) / labels - 0.5))
  const low = Math.floor(at)
  return [low, Math.min(logits - 1, low + 1), at - low]
}

export function norm(vector: ArrayLike<number>): number {
  return Math.sqrt(dot(vector, vector))
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

/** ‖a − b‖ over ‖b‖. */
export function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const difference = Float64Array.from({ length: a.length }, (_, i) => a[i] - b[i])
  return norm(difference) / Math.max(norm(b), Number.MIN_VALUE)
}
