import type { Emitter } from '../graph/emitter.js'
import type { AxisMap } from '../loss/interpolation.js'
import { matmul, reshape, size } from './algebra.js'

/**
 * The adjoint of a linear map y = M·x along one axis: dx = Mᵀ·dy. One matrix product, whatever the map (resizing, padding by
 * reflection, taking every other element).
 */
export function adjointAlong(
  graph: Emitter,
  dy: string,
  axis: number,
  { out, in: from, weights }: AxisMap,
): string {
  const dims = graph.shapeOf(dy)
  const before = dims.slice(0, axis)
  const after = dims.slice(axis + 1)
  const result = [...before, from, ...after]
  const matrix = graph.floats([out, from], weights)
  if (after.length === 0) return matmul(graph, dy, matrix)
  const flat = reshape(graph, dy, [size(before), out, size(after)])
  return reshape(graph, matmul(graph, matrix, flat, { transA: true }), result)
}
