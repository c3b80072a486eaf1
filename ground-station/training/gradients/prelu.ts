import { add, mul, sub, sumTo } from './algebra.js'
import { above } from './mask.js'
import type { GradientRule } from './rule.js'

/** y = x where x > 0, else s·x, with a slope s that broadcasts to x: dx = dy·(s + (1−s)·[x > 0]), ds = dy·min(x, 0). */
export const prelu: GradientRule = ({ input: [x, slope] }, graph, [dy]) => {
  const one = graph.scalar(1)
  const positive = above(graph, x, 0)
  const slopeOf = () => add(graph, slope, mul(graph, positive, sub(graph, one, slope)))
  const negative = () => graph.emit('Min', [x, graph.scalar(0)], graph.shapeOf(x))
  return [
    graph.wants(x) ? mul(graph, dy!, slopeOf()) : undefined,
    graph.wants(slope) ? sumTo(graph, mul(graph, dy!, negative()), graph.shapeOf(slope)) : undefined,
  ]
}
