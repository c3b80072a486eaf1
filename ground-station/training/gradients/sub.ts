import { map, sumTo } from './algebra.js'
import type { GradientRule } from './rule.js'

/** y = a − b: da = dy, db = −dy. */
export const sub: GradientRule = ({ input: [a, b] }, graph, [dy]) => [
  graph.wants(a) ? sumTo(graph, dy!, graph.shapeOf(a)) : undefined,
  graph.wants(b) ? map(graph, 'Neg', sumTo(graph, dy!, graph.shapeOf(b))) : undefined,
]
