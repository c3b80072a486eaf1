import { intAttribute, intsAttribute, type NodeProto, stringAttribute } from '@kestrel/models'
import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core'
import type { Operator } from '../operator.js'
import type { Tf } from '../tensorflow.js'
import { padImage, pick, toChannelsFirst, toChannelsLast } from './layout.js'
import { reach, type Window, windows } from './window.js'

/** Conv: x [N,C,H,W], w [M,C/group,kH,kW], bias [M]. */
export const conv: Operator = ({ tf }, node, [x, w, bias]) => {
  const group = intAttribute(node, 'group', 1)
  const [rows, columns] = windows(node, w!.shape.slice(2), { size: x!.shape.slice(2) })
  const image = padImage(tf, toChannelsLast(tf, x!), rows.pads, columns.pads)
  // TensorFlow's filters are [kH,kW,C,M].
  const filter = tf.transpose(w!, [2, 3, 1, 0]) as Tensor4D
  // TensorFlow's native depthwise kernels know only equal strides.
  const depthwise = group > 1 && group === x!.shape[1] && rows.stride === columns.stride
  const y = inPhases(tf, image, rows, columns, (part, strides) =>
    depthwise
      ? tf.depthwiseConv2d(part, byInputChannel(tf, filter, group), strides, 'valid')
      : inGroups(tf, part, filter, group, (slice, kernel) => tf.conv2d(slice, kernel, strides, 'valid')),
  )
  return toChannelsFirst(tf, addBias(tf, y, bias))
}

/** ConvTranspose: x [N,C,H,W], w [C,M/group,kH,kW], bias [M]. */
export const convTranspose: Operator = ({ tf }, node, [x, w, bias]) => {
  const group = intAttribute(node, 'group', 1)
  const [rows, columns] = transposedWindows(node, x!, w!)
  // conv2dTranspose wants [kH,kW,M,C].
  const filter = dilate(tf, tf.transpose(w!, [2, 3, 1, 0]) as Tensor4D, rows, columns)
  const spread = inGroups(tf, toChannelsLast(tf, x!), filter, group, (part, kernel) => {
    const [n, h, width] = part.shape
    const full = ({ stride }: Window, size: number, taps: number) => (size - 1) * stride + taps
    const size: [number, number, number, number] = [
      n,
      full(rows, h, kernel.shape[0]),
      full(columns, width, kernel.shape[1]),
      kernel.shape[2],
    ]
    return tf.conv2dTranspose(part, kernel, size, [rows.stride, columns.stride], 'valid')
  })
  // What is padding to a convolution is cropped from its transpose; output_padding is an uncropped or added row or column.
  const crop = ({ pads: [before, after] }: Window): [number, number] => [-before, -after]
  const y = padImage(tf, spread, crop(rows), crop(columns))
  return toChannelsFirst(tf, addBias(tf, y, bias))
}

/** The windows of a ConvTranspose, with pads such that output_padding, output_shape and auto_pad are honoured. */
function transposedWindows(node: NodeProto, x: Tensor, w: Tensor): [Window, Window] {
  const found = windows(node, w.shape.slice(2))
  const extra = intsAttribute(node, 'output_padding', [0, 0])
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  const given = intsAttribute(node, 'output_shape', []).slice(-2)
  return found.map((window, i) => {
    const size = x.shape[i + 2]
    const [before, after] = window.pads
    const output = given[i] ?? (auto.startsWith('SAME') ? size * window.stride : undefined)
    if (output === undefined) return { ...window, pads: [before, after - extra[i]] }
    const full = window.stride * (size - 1) + reach(window)
    const total = Math.max(0, full + extra[i] - output)
    const first = Math.trunc((auto === 'SAME_UPPER' ? total : total + 1) / 2)
    return {
      ...window,
      pads: [first, given[i] === undefined ? total - first - extra[i] : full - output - first],
    }
  }) as [Window, Window]
}

/** Applies a convolution to each group of channels of an image [N,H,W,C], with its part of the filter's last axis. */
function inGroups(
  tf: Tf,
  image: Tensor4D,
  filter: Tensor4D,
  group: number,
  apply: (image: Tensor4D, filter: Tensor4D) => Tensor4D,
): Tensor4D {
  if (group === 1) return apply(image, filter)
  const filters = tf.split(filter, group, 3) as Tensor4D[]
  const parts = tf.split(image, group, 3) as Tensor4D[]
  return tf.concat(
    parts.map((part, i) => apply(part, filters[i])),
    3,
  )
}

/** [kH,kW,1,C·multiplier] → [kH,kW,C,multiplier]. */
function byInputChannel(tf: Tf, filter: Tensor4D, channels: number): Tensor4D {
  const [h, w, , outputs] = filter.shape
  return tf.reshape(filter, [h, w, channels, outputs / channels])
}

/**
 * A dilated convolution, of which TensorFlow.js has no gradient: every dilation-th row and column makes an image of its own
 * (a phase), these go through a plain convolution, and their results interleave again. Strides pick from that.
 */
function inPhases(
  tf: Tf,
  image: Tensor4D,
  rows: Window,
  columns: Window,
  apply: (image: Tensor4D, strides: [number, number]) => Tensor4D,
): Tensor4D {
  if (rows.dilation === 1 && columns.dilation === 1) return apply(image, [rows.stride, columns.stride])
  const block = [rows.dilation, columns.dilation]
  const missing = block.map((dilation, i) => [0, (dilation - (image.shape[i + 1] % dilation)) % dilation])
  const dense = tf.batchToSpaceND(apply(tf.spaceToBatchND(image, block, missing), [1, 1]), block, missing)
  return every(tf, every(tf, dense, 1, rows.stride), 2, columns.stride) as Tensor4D
}

/** Every `stride`-th element of an axis. */
function every(tf: Tf, x: Tensor, axis: number, stride: number): Tensor {
  if (stride === 1) return x
  const count = Math.ceil(x.shape[axis] / stride)
  return pick(
    tf,
    x,
    axis,
    Array.from({ length: count }, (_, i) => i * stride),
  )
}

/** Spreads the taps of a filter [kH,kW,…] with zeros in between. */
function dilate(tf: Tf, filter: Tensor4D, rows: Window, columns: Window): Tensor4D {
  if (rows.dilation === 1 && columns.dilation === 1) return filter
  const [h, w, inner, outer] = filter.shape
  const channels = inner * outer
  const apart = tf.pad(tf.reshape(filter, [h, 1, w, 1, channels]), [
    [0, 0],
    [0, rows.dilation - 1],
    [0, 0],
    [0, columns.dilation - 1],
    [0, 0],
  ])
  const spread = tf.reshape(apart, [h * rows.dilation, w * columns.dilation, inner, outer])
  return tf.slice(spread, [0, 0, 0, 0], [reach(rows), reach(columns), inner, outer]) as Tensor4D
}

function addBias(tf: Tf, y: Tensor4D, bias: Tensor | undefined): Tensor4D {
  return bias === undefined ? y : (tf.add(y, bias as Tensor1D) as Tensor4D)
}
