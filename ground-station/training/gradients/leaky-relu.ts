import { floatAttribute } from '@kestrel/models'
import { add, mul, scale } from './algebra.js'
import { above } from './mask.js'
import type { GradientRule } from './rule.js'

/** y = x where x > 0, else α·x: dx = dy·(α + (1−α)·[x > 0]). */
export const leakyRelu: GradientRule = (node, graph, [dy]) => {
  const alpha = floatAttribute(node, 'alpha', 0.01)
  const positive = above(graph, node.input[0], 0)
  return [mul(graph, dy!, add(graph, scale(graph, positive, 1 - alpha), graph.scalar(alpha)))]
}
