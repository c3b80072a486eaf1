import type { Emitter } from '../graph/emitter.js'
import { reshape, scale, size } from './algebra.js'
import { reducedAxes } from './axes.js'
import type { GradientRule } from './rule.js'

/** y = mean of x over axes of n elements: dx = dy/n, spread over them. */
export const reduceMean: GradientRule = (node, graph, [dy]) => {
  const axes = reducedAxes(node, graph)
  // From operator set 18 on, no axes can mean none instead of all.
  if (axes === undefined) return [dy]
  return [spreadMean(graph, dy!, graph.shapeOf(node.input[0]), axes)]
}

/** The adjoint of a mean over `axes` of a value of shape `dims`. */
export function spreadMean(graph: Emitter, dy: string, dims: number[], axes: number[]): string {
  const kept = dims.map((dim, i) => (axes.includes(i) ? 1 : dim))
  const share = scale(graph, reshape(graph, dy, kept), size(kept) / size(dims))
  return graph.emit('Expand', [share, graph.ints(dims)], dims)
}
