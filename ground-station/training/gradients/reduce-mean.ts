import { intAttribute } from '@kestrel/models'
import type { Emitter } from '../graph/emitter.js'
import { reshape, scale, size } from './algebra.js'
import { reducedAxes } from './axes.js'
import type { GradientRule } from './rule.js'

/** y = mean of x over axes of n elements: dx = dy/n, spread over them. */
export const reduceMean: GradientRule = (node, graph, [dy]) => {
  const dims = graph.shapeOf(node.input[0])
  if (node.input[1] === '' || intAttribute(node, 'noop_with_empty_axes', 0) === 1) {
    if (sameRankNoop(node.input[1], graph)) return [dy]
  }
  const axes = reducedAxes(node, graph)
  return [spreadMean(graph, dy!, dims, axes)]
}

function sameRankNoop(axes: string | undefined, graph: Emitter): boolean {
  return !axes || graph.constantOf(axes)?.length === 0
}

/** The adjoint of a mean over `axes` of a value of shape `dims`. */
export function spreadMean(graph: Emitter, dy: string, dims: number[], axes: number[]): string {
  const kept = dims.map((dim, i) => (axes.includes(i) ? 1 : dim))
  const share = scale(graph, reshape(graph, dy, kept), size(kept) / size(dims))
  return graph.emit('Expand', [share, graph.ints(dims)], dims)
}
