import type { Emitter } from '../graph/emitter.js'
import { mul, sub } from './algebra.js'

/**
 * dy where lo < y < hi, 0 elsewhere; y is the *output* of a clamp, so that its input need not be kept.
 *
 * A step function is a HardSigmoid so steep that nothing but its ends is ever met: one pass over memory each, where
 * comparing, casting and selecting take three.
 */
export function inside(graph: Emitter, dy: string, y: string, lo?: number, hi?: number): string {
  let gradient = dy
  if (lo !== undefined && Number.isFinite(lo)) gradient = mul(graph, gradient, above(graph, y, lo))
  if (hi !== undefined && Number.isFinite(hi)) gradient = mul(graph, gradient, below(graph, y, hi))
  return gradient
}

const STEEP = 1e30

/** 1 where x > bound, else 0. */
export function above(graph: Emitter, x: string, bound: number): string {
  const shifted = bound === 0 ? x : sub(graph, x, graph.scalar(bound))
  return step(graph, shifted, STEEP)
}

/** 1 where x < bound, else 0. */
export function below(graph: Emitter, x: string, bound: number): string {
  const shifted = bound === 0 ? x : sub(graph, x, graph.scalar(bound))
  return step(graph, shifted, -STEEP)
}

function step(graph: Emitter, x: string, slope: number): string {
  return graph.emit('HardSigmoid', [x], graph.shapeOf(x), { alpha: { float: slope }, beta: { float: 0 } })
}
