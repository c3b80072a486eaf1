import { sumTo } from './algebra.js'
import type { GradientRule } from './rule.js'

/** x broadcast to a shape: dx sums dy over the copies. */
export const expand: GradientRule = ({ input: [x] }, graph, [dy]) => [sumTo(graph, dy!, graph.shapeOf(x))]
