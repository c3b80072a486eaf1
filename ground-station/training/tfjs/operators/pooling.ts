import { intAttribute, type NodeProto } from '@kestrel/models'
import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core'
import { type Operator, plain } from '../operator.js'
import type { Tf } from '../tensorflow.js'
import { crop, padImage, pick, toChannelsFirst, toChannelsLast } from './layout.js'
import { positions, type Window, windows } from './window.js'

type Pool = (x: Tensor4D, filter: [number, number], strides: [number, number]) => Tensor4D

export const globalAveragePool = plain((tf, x) => {
  const axes = x.shape.map((_, i) => i).slice(2)
  return tf.mean(x, axes, true)
})

export const maxPool: Operator = ({ tf }, node, [x]) => {
  const over = windows(node, [], { size: x!.shape.slice(2), crop: true })
  return toChannelsFirst(
    tf,
    pool(tf, node, x!, over, Number.NEGATIVE_INFINITY, (padded, filter, strides) =>
      tf.maxPool(padded, filter, strides, 'valid'),
    ),
  )
}

/** The mean over each window, of image and padding (count_include_pad) or of the image only. */
export const averagePool: Operator = ({ tf, opset }, node, [x]) => {
  const [h, w] = x!.shape.slice(2)
  const over = windows(node, [], { size: [h, w], crop: true })
  const mean = pool(tf, node, x!, over, 0, (padded, filter, strides) =>
    tf.avgPool(padded, filter, strides, 'valid'),
  )
  const rows = tf.tensor1d(shares(node, opset, over[0], h))
  const columns = tf.tensor1d(shares(node, opset, over[1], w))
  const weights = tf.mul(tf.expandDims(rows, 1), tf.expandDims(columns, 0))
  return tf.mul(toChannelsFirst(tf, mean), weights)
}

/** Pads [N,C,H,W] with `value`, then pools its windows; the result is [N,H,W,C]. */
function pool(
  tf: Tf,
  node: NodeProto,
  x: Tensor,
  [rows, columns]: [Window, Window],
  value: number,
  apply: Pool,
): Tensor4D {
  const [h, w] = x.shape.slice(2)
  const down = positions(node, rows, h)
  const across = positions(node, columns, w)
  const padded = padImage(
    tf,
    toChannelsLast(tf, x),
    [rows.pads[0], rows.pads[1] + down.beyond],
    [columns.pads[0], columns.pads[1] + across.beyond],
    value,
  )
  if (rows.dilation === 1 && columns.dilation === 1) {
    const [n, , , c] = padded.shape
    const size = [n, extent(rows, down.count), extent(columns, across.count), c]
    const used = crop(tf, padded, [0, 0, 0, 0], size)
    return apply(used as Tensor4D, [rows.kernel, columns.kernel], [rows.stride, columns.stride])
  }
  // TensorFlow.js has no gradient of dilated pooling: lay the windows side by side instead.
  const apart = pick(tf, pick(tf, padded, 1, taps(rows, down.count)), 2, taps(columns, across.count))
  const kernel: [number, number] = [rows.kernel, columns.kernel]
  return apply(apart as Tensor4D, kernel, kernel)
}

/** Elements that `count` positions of a window touch. */
function extent({ kernel, stride }: Window, count: number): number {
  return (count - 1) * stride + kernel
}

/** Where the taps of each position lie, one window after the other. */
function taps({ kernel, stride, dilation }: Window, count: number): number[] {
  return Array.from(
    { length: count * kernel },
    (_, i) => Math.floor(i / kernel) * stride + (i % kernel) * dilation,
  )
}

/**
 * By position: the kernel's size over the number of elements that count in the mean. What a window that ceil_mode rounded up
 * has beyond the padding counts as padding until operator set 19 put that right.
 */
function shares(node: NodeProto, opset: number, window: Window, size: number): number[] {
  const { kernel, stride, dilation, pads } = window
  const padding = intAttribute(node, 'count_include_pad', 0) === 1
  const [first, end] = padding
    ? [-pads[0], opset < 19 ? Number.POSITIVE_INFINITY : size + pads[1]]
    : [0, size]
  return Array.from({ length: positions(node, window, size).count }, (_, i) => {
    const at = i * stride - pads[0]
    const taps = Array.from({ length: kernel }, (_, k) => at + k * dilation)
    return kernel / taps.filter(tap => tap >= first && tap < end).length
  })
}
