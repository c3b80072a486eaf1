import { intsAttribute } from '@kestrel/models'
import { transpose as permute } from './algebra.js'
import type { GradientRule } from './rule.js'

/** Axes permuted: dx is dy with the inverse permutation. */
export const transpose: GradientRule = (node, graph, [dy]) => {
  const reversed = graph.shapeOf(node.input[0]).map((_, i, dims) => dims.length - 1 - i)
  const perm = intsAttribute(node, 'perm', reversed)
  return [
    permute(
      graph,
      dy!,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
  ]
}
