import { TensorProto_DataType as DataType } from '@kestrel/models'
import type { Emitter } from '../graph/emitter.js'
import { mul } from './algebra.js'

/**
 * dy where lo < y < hi, 0 elsewhere; y is the *output* of a clamp, so that its input need not be kept.
 */
export function inside(graph: Emitter, dy: string, y: string, lo?: number, hi?: number): string {
  const bounded = (bound: number | undefined) => bound !== undefined && Number.isFinite(bound)
  if (bounded(lo) && bounded(hi)) {
    // Comparisons give bytes, a quarter of the memory to move.
    const over = compare(graph, 'Greater', y, lo!)
    const under = compare(graph, 'Less', y, hi!)
    const both = graph.emit('And', [over, under], graph.shapeOf(y))
    return mul(graph, dy, graph.emit('Cast', [both], graph.shapeOf(y), { to: DataType.FLOAT }))
  }
  if (bounded(lo)) return mul(graph, dy, above(graph, y, lo!))
  if (bounded(hi)) return mul(graph, dy, below(graph, y, hi!))
  return dy
}

function compare(graph: Emitter, opType: 'Greater' | 'Less', x: string, bound: number): string {
  return graph.emit(opType, [x, graph.scalar(bound)], graph.shapeOf(x))
}

/** 1 where x > bound, else 0. */
export function above(graph: Emitter, x: string, bound: number): string {
  return step(graph, x, bound, STEEP)
}

/** 1 where x < bound, else 0. */
export function below(graph: Emitter, x: string, bound: number): string {
  return step(graph, x, bound, -STEEP)
}

/**
 * So steep that the clamp of a HardSigmoid meets nothing between 0 and 1, and a power of two, so that the product with it is
 * exact and x = bound gives exactly 0.
 */
const STEEP = 2 ** 100

/** A step function as a HardSigmoid, max(0, min(1, αx + β)): one pass where comparing and casting take two. */
function step(graph: Emitter, x: string, bound: number, slope: number): string {
  const attributes = { alpha: { float: slope }, beta: { float: -Math.fround(bound) * slope } }
  return graph.emit('HardSigmoid', [x], graph.shapeOf(x), attributes)
}
