import { TensorProto_DataType as DataType, intAttribute, type NodeProto } from '@kestrel/models'
import type { Emitter } from '../graph/emitter.js'
import { concat, mul, reshape } from './algebra.js'
import { addWindows, copyPool } from './pool-windows.js'
import type { GradientRule } from './rule.js'
import { type Window, windowsOf } from './windows.js'

/**
 * y = greatest of a window: the pixel that it came from gets dy. MaxPool tells where from, as an index into x; of equals it
 * names one, so that none counts twice. For each tap of the window: does it lie at that index?
 */
export const maxPool: GradientRule = (node, graph, [dy]) => {
  const [x] = node.input
  const dims = graph.shapeOf(x)
  const [n, c, height, width] = dims
  const windows = windowsOf(node, graph, { over: x, positions: node.output[0] })
  const [rows, columns] = windows
  const planes = n * c
  const columnMajor = intAttribute(node, 'storage_order', 0) === 1
  const shape = [planes, 1, rows.out, columns.out]
  const indices = graph.emit('Reshape', [indicesOf(node), graph.ints(shape)], shape)
  const starts = ints(
    graph,
    [planes, 1, 1, 1],
    Array.from({ length: planes }, (_, p) => p * height * width),
  )
  const within = graph.emit('Sub', [indices, starts], graph.shapeOf(indices))
  const flat = reshape(graph, dy!, graph.shapeOf(indices))
  const taps: string[] = []
  for (let a = 0; a < rows.k; a++) {
    for (let b = 0; b < columns.k; b++) {
      const ys = positions(rows, a)
      const xs = positions(columns, b)
      const here = ys.flatMap(y =>
        xs.map(x => {
          const inside = y >= 0 && y < height && x >= 0 && x < width
          return inside ? (columnMajor ? x * height + y : y * width + x) : -1
        }),
      )
      const equal = graph.emit(
        'Equal',
        [within, ints(graph, [1, 1, rows.out, columns.out], here)],
        graph.shapeOf(within),
      )
      const mask = graph.emit('Cast', [equal], graph.shapeOf(within), { to: DataType.FLOAT })
      taps.push(mul(graph, flat, mask))
    }
  }
  return [addWindows(graph, concat(graph, taps, 1), dims, windows)]
}

/** MaxPool with its second output, whether the student asked for it or not. */
export function maxPoolForward(node: NodeProto, graph: Emitter): void {
  copyPool(graph, node, indicesOf(node))
}

function indicesOf(node: NodeProto): string {
  return node.output[1] || `kestrel/indices.${node.output[0]}`
}

/** Where tap `t` lies at each position of a window. */
function positions({ s, d, before, out }: Window, t: number): number[] {
  return Array.from({ length: out }, (_, i) => i * s + t * d - before)
}

function ints(graph: Emitter, dims: number[], values: number[]): string {
  return reshape(graph, graph.ints(values), dims)
}
