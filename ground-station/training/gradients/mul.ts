import { sumTo, mul as times } from './algebra.js'
import type { GradientRule } from './rule.js'

/** y = a·b: da = dy·b, db = dy·a. */
export const mul: GradientRule = ({ input: [a, b] }, graph, [dy]) => [
  graph.wants(a) ? sumTo(graph, times(graph, dy!, b), graph.shapeOf(a)) : undefined,
  graph.wants(b) ? sumTo(graph, times(graph, dy!, a), graph.shapeOf(b)) : undefined,
]
