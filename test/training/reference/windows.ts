import { intAttribute, intsAttribute, type NodeProto, stringAttribute } from '@kestrel/models'
import { at, build, type Tensor } from './tensor.js'

/*
 * Convolutions and pools as the ONNX operators define them, element by element.
 */

interface Axis {
  k: number
  s: number
  d: number
  pad: number
  out: number
}

/**
 * Where a window is smaller than its stride, SAME asks for negative padding. Pools take the formula at its word and crop;
 * convolutions do not pad.
 */
function axes(node: NodeProto, x: Tensor, kernel: number[]): [Axis, Axis] {
  const least = node.opType === 'Conv' ? 0 : Number.NEGATIVE_INFINITY
  const strides = intsAttribute(node, 'strides', [1, 1])
  const dilations = intsAttribute(node, 'dilations', [1, 1])
  const pads = intsAttribute(node, 'pads', [0, 0, 0, 0])
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  const ceil = intAttribute(node, 'ceil_mode', 0) === 1
  return [0, 1].map(i => {
    const [k, s, d, size] = [kernel[i], strides[i], dilations[i], x.dims[i + 2]]
    const extent = d * (k - 1) + 1
    if (auto.startsWith('SAME')) {
      const out = Math.ceil(size / s)
      const total = Math.max(least, (out - 1) * s + extent - size)
      return { k, s, d, out, pad: Math.trunc((auto === 'SAME_UPPER' ? total : total + 1) / 2) }
    }
    const [pad, end] = auto === 'VALID' ? [0, 0] : [pads[i], pads[i + 2]]
    const steps = (size + pad + end - extent) / s
    let out = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
    // A window that starts in the padding at the end is left out.
    if (ceil && (out - 1) * s >= size + pad) out--
    return { k, s, d, pad, out }
  }) as [Axis, Axis]
}

/** The positions in the image that a window covers, and whether they are inside. */
function* taps([rows, columns]: [Axis, Axis], y: number, x: number, [, , height, width]: number[]) {
  for (let a = 0; a < rows.k; a++) {
    for (let b = 0; b < columns.k; b++) {
      const row = y * rows.s + a * rows.d - rows.pad
      const column = x * columns.s + b * columns.d - columns.pad
      yield { a, b, row, column, inside: row >= 0 && row < height && column >= 0 && column < width }
    }
  }
}

export function conv(node: NodeProto, x: Tensor, w: Tensor, bias?: Tensor): Tensor {
  const group = intAttribute(node, 'group', 1)
  const [outputs, perGroup, ...kernel] = w.dims
  const windows = axes(node, x, kernel)
  const dims = [x.dims[0], outputs, windows[0].out, windows[1].out]
  return build(dims, ([n, o, y, x0]) => {
    let total = bias ? bias.data[o] : 0
    const first = Math.floor(o / (outputs / group)) * perGroup
    for (const { a, b, row, column, inside } of taps(windows, y, x0, x.dims)) {
      if (!inside) continue
      for (let i = 0; i < perGroup; i++) total += at(w, [o, i, a, b]) * at(x, [n, first + i, row, column])
    }
    return total
  })
}

/** Each input element adds its kernel to the output. */
export function convTranspose(node: NodeProto, x: Tensor, w: Tensor, bias?: Tensor): Tensor {
  const group = intAttribute(node, 'group', 1)
  const strides = intsAttribute(node, 'strides', [1, 1])
  const dilations = intsAttribute(node, 'dilations', [1, 1])
  const extra = intsAttribute(node, 'output_padding', [0, 0])
  const [inputs, perGroup, ...kernel] = w.dims
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  const full = [0, 1].map(
    i => strides[i] * (x.dims[i + 2] - 1) + extra[i] + dilations[i] * (kernel[i] - 1) + 1,
  )
  const pads = intsAttribute(node, 'pads', [0, 0, 0, 0])
  const shape = intsAttribute(node, 'output_shape', [])
  const [height, width] = [0, 1].map(i => {
    if (shape.length > 0) return shape[shape.length - 2 + i]
    return auto.startsWith('SAME') ? x.dims[i + 2] * strides[i] : full[i] - pads[i] - pads[i + 2]
  })
  const start = [height, width].map((size, i) => {
    if (auto === 'NOTSET' && shape.length === 0) return pads[i]
    const total = Math.max(0, full[i] - size)
    return auto === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2)
  })
  const y = build([x.dims[0], perGroup * group, height, width], ([, o]) => (bias ? bias.data[o] : 0))
  const plane = height * width
  build(x.dims, ([n, i, row, column]) => {
    const value = at(x, [n, i, row, column])
    const first = Math.floor(i / (inputs / group)) * perGroup
    for (let o = 0; o < perGroup; o++) {
      for (let a = 0; a < kernel[0]; a++) {
        for (let b = 0; b < kernel[1]; b++) {
          const to = row * strides[0] + a * dilations[0] - start[0]
          const across = column * strides[1] + b * dilations[1] - start[1]
          if (to < 0 || to >= height || across < 0 || across >= width) continue
          y.data[(n * y.dims[1] + first + o) * plane + to * width + across] += value * at(w, [i, o, a, b])
        }
      }
    }
    return 0
  })
  return y
}

export function maxPool(node: NodeProto, x: Tensor): Tensor {
  const windows = axes(node, x, intsAttribute(node, 'kernel_shape', []))
  return build([x.dims[0], x.dims[1], windows[0].out, windows[1].out], ([n, c, y, x0]) => {
    let best = Number.NEGATIVE_INFINITY
    for (const { row, column, inside } of taps(windows, y, x0, x.dims)) {
      if (inside) best = Math.max(best, at(x, [n, c, row, column]))
    }
    return best
  })
}

export function averagePool(node: NodeProto, x: Tensor, opset: number): Tensor {
  const windows = axes(node, x, intsAttribute(node, 'kernel_shape', []))
  const padded = intAttribute(node, 'count_include_pad', 0) === 1
  const [rows, columns] = windows
  const pads = intsAttribute(node, 'pads', [0, 0, 0, 0])
  const ends = [x.dims[2] + pads[2], x.dims[3] + pads[3]]
  const same = stringAttribute(node, 'auto_pad', 'NOTSET').startsWith('SAME')
  return build([x.dims[0], x.dims[1], rows.out, columns.out], ([n, c, y, x0]) => {
    let total = 0
    let count = 0
    for (const { row, column, inside } of taps(windows, y, x0, x.dims)) {
      if (inside) total += at(x, [n, c, row, column])
      // Rounded up, a window may reach beyond the padding, which does not count since set 19.
      if (inside || (padded && (same || opset < 19 || (row < ends[0] && column < ends[1])))) count++
    }
    return total / count
  })
}
