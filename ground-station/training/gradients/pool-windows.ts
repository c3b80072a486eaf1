import { intAttribute, makeNode, type NodeProto } from '@kestrel/models'
import type { Emitter } from '../graph/emitter.js'
import { padZeros, reshape } from './algebra.js'
import { reach, type Window, windowAttributes } from './windows.js'

/**
 * The adjoint of cutting an image into windows: adds up, at each pixel, what the windows that cover it have for it. A
 * ConvTranspose whose kernel for tap t is 1 at t and 0 elsewhere.
 *
 * @param taps [N·C,T,h,w], T = k·k values a window, or 1 where all its taps get the same
 * @param dims [N,C,H,W]
 */
export function addWindows(graph: Emitter, taps: string, dims: number[], windows: [Window, Window]): string {
  const [n, c] = dims
  const [rows, columns] = windows
  const count = rows.k * columns.k
  const each = graph.shapeOf(taps)[1]
  const kernel = new Float32Array(each * count)
  if (each === 1) kernel.fill(1)
  else for (let t = 0; t < count; t++) kernel[t * count + t] = 1
  // Rounded up (ceil_mode), the last window may reach beyond the padding; what falls there is cut off. Negative padding, which
  // auto_pad can mean, skips what comes first.
  const skipped = windows.map(({ before }) => Math.max(0, -before))
  const fitted = windows.map((window, i) => {
    const rest = window.in + window.before - reach(window)
    const before = Math.max(0, window.before)
    return {
      ...window,
      before,
      after: Math.max(0, -rest),
      rest: Math.max(0, rest),
      size: window.in - skipped[i],
    }
  })
  const [down, across] = fitted
  const weight = graph.floats([each, 1, rows.k, columns.k], kernel)
  const sum = graph.emit('ConvTranspose', [taps, weight], [n * c, 1, down.size, across.size], {
    ...windowAttributes([down, across]),
    output_padding: fitted.map(({ rest }) => rest),
  })
  return reshape(graph, padZeros(graph, sum, [0, 0, ...skipped], [0, 0, 0, 0]), dims)
}

/**
 * Writes a pool. Where a window that is rounded up would start beyond the image, ONNX Runtime leaves it out but its shape inference
 * counts it in, and then finds the graph inconsistent: reshaping to what it is sets that right, at no cost.
 *
 * @param indices name of a second output
 */
export function copyPool(graph: Emitter, node: NodeProto, indices?: string): void {
  const [y] = node.output
  const dims = graph.shapeOf(y)
  const rounded = intAttribute(node, 'ceil_mode', 0) === 1
  const raw = rounded ? `kestrel/pool.${y}` : y
  const pool = makeNode(node.opType, node.input, indices ? [raw, indices] : [raw], {}, node.name)
  pool.attribute = node.attribute
  graph.copy(pool)
  if (indices) graph.declare(indices, dims)
  if (rounded) graph.rename(graph.emit('Reshape', [raw, graph.ints(dims)], dims), y)
}
