import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core'
import type { Tf } from '../tensorflow.js'

/** [N,C,H,W] → [N,H,W,C], the layout in which every backend of TensorFlow.js convolves and pools. */
export function toChannelsLast(tf: Tf, x: Tensor): Tensor4D {
  return tf.transpose(x, [0, 2, 3, 1]) as Tensor4D
}

export function toChannelsFirst(tf: Tf, x: Tensor): Tensor4D {
  return tf.transpose(x, [0, 3, 1, 2]) as Tensor4D
}

/** Pads rows and columns of [N,H,W,C]; a negative amount crops. */
export function padImage(
  tf: Tf,
  x: Tensor4D,
  rows: [number, number],
  columns: [number, number],
  value = 0,
): Tensor4D {
  return padAxes(tf, x, [[0, 0], rows, columns, [0, 0]], value) as Tensor4D
}

/** Pads every axis before and after with `value`; a negative amount crops. What changes nothing costs nothing. */
export function padAxes(tf: Tf, x: Tensor, amounts: [number, number][], value: number): Tensor {
  const cropped = crop(
    tf,
    x,
    amounts.map(([before]) => Math.max(0, -before)),
    x.shape.map((size, i) => size + Math.min(0, amounts[i][0]) + Math.min(0, amounts[i][1])),
  )
  if (amounts.flat().every(amount => amount <= 0)) return cropped
  return tf.pad(
    cropped,
    amounts.map(([before, after]) => [Math.max(0, before), Math.max(0, after)]),
    value,
  )
}

/** The part of a tensor that begins at `begin`. */
export function crop(tf: Tf, x: Tensor, begin: number[], size: number[]): Tensor {
  return size.every((length, i) => length === x.shape[i]) ? x : tf.slice(x, begin, size)
}

/**
 * The values of an axis at `indices`, in that order. Gradients add up where an index comes twice.
 */
export function pick(tf: Tf, x: Tensor, axis: number, indices: number[]): Tensor {
  return tf.gather(x, tf.tensor1d(indices, 'int32'), axis)
}
