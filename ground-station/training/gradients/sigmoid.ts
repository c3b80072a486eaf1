import { mul, sub } from './algebra.js'
import type { GradientRule } from './rule.js'

/** y = 1/(1+e^−x): dx = dy·y·(1−y). */
export const sigmoid: GradientRule = ({ output: [y] }, graph, [dy]) => {
  const slope = mul(graph, y, sub(graph, graph.scalar(1), y))
  return [mul(graph, dy!, slope)]
}
