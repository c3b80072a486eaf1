import { intAttribute, type NodeProto } from '@kestrel/models'
import type { Emitter } from '../graph/emitter.js'
import { mul, reshape } from './algebra.js'
import { addWindows, copyPool } from './pool-windows.js'
import type { GradientRule } from './rule.js'
import { type Window, windowsOf } from './windows.js'

/** y = mean over a window: each of its pixels gets dy / (pixels that counted). */
export const averagePool: GradientRule = (node, graph, [dy]) => {
  const [x] = node.input
  const dims = graph.shapeOf(x)
  const windows = windowsOf(node, graph, { over: x, positions: node.output[0] })
  const padded = intAttribute(node, 'count_include_pad', 0) === 1
  const [rows, columns] = windows.map(window => counts(window, padded, graph.opset))
  const shares = rows.flatMap(row => columns.map(column => 1 / (row * column)))
  const share = mul(graph, dy!, graph.floats([1, 1, rows.length, columns.length], shares))
  const flat = reshape(graph, share, [dims[0] * dims[1], 1, rows.length, columns.length])
  return [addWindows(graph, flat, dims, windows)]
}

export function averagePoolForward(node: NodeProto, graph: Emitter): void {
  copyPool(graph, node)
}

/**
 * How many taps count at each position: those on the image, or on the image and its padding. What a window that was
 * rounded up has beyond the padding counts too before operator set 19, which put that right.
 */
function counts({ k, s, d, before, after, in: size, out }: Window, padded: boolean, opset: number): number[] {
  return Array.from({ length: out }, (_, i) => {
    let count = 0
    for (let t = 0; t < k; t++) {
      const at = i * s + t * d - before
      if (padded ? opset < 19 || at < size + after : at >= 0 && at < size) count++
    }
    return count
  })
}
