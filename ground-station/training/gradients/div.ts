import { map, mul, div as over, sumTo } from './algebra.js'
import type { GradientRule } from './rule.js'

/** y = a/b: da = dy/b, db = −dy·y/b. */
export const div: GradientRule = ({ input: [a, b], output: [y] }, graph, [dy]) => {
  const da = over(graph, dy!, b)
  return [
    graph.wants(a) ? sumTo(graph, da, graph.shapeOf(a)) : undefined,
    graph.wants(b) ? map(graph, 'Neg', sumTo(graph, mul(graph, da, y), graph.shapeOf(b))) : undefined,
  ]
}
