import { add, mul, scale } from './algebra.js'
import { inside } from './mask.js'
import type { GradientRule } from './rule.js'

/** y = x·h with h = max(0, min(1, x/6 + 1/2)): dx = dy·(h + x/6 where 0 < h < 1). */
export const hardSwish: GradientRule = ({ input: [x] }, graph, [dy]) => {
  const attributes = { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }
  const h = graph.emit('HardSigmoid', [x], graph.shapeOf(x), attributes)
  const slope = add(graph, h, inside(graph, scale(graph, x, 1 / 6), h, 0, 1))
  return [mul(graph, dy!, slope)]
}
