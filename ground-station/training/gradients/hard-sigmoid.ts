import { floatAttribute } from '@kestrel/models'
import { scale } from './algebra.js'
import { inside } from './mask.js'
import type { GradientRule } from './rule.js'

/** y = max(0, min(1, αx + β)): dx = α·dy where 0 < y < 1. */
export const hardSigmoid: GradientRule = (node, graph, [dy]) => {
  const alpha = floatAttribute(node, 'alpha', 0.2)
  return [inside(graph, scale(graph, dy!, alpha), node.output[0], 0, 1)]
}
