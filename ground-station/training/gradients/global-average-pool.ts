import { spreadMean } from './reduce-mean.js'
import type { GradientRule } from './rule.js'

/** y = mean of x over its spatial axes. */
export const globalAveragePool: GradientRule = ({ input: [x] }, graph, [dy]) => {
  const dims = graph.shapeOf(x)
  return [spreadMean(graph, dy!, dims, dims.map((_, i) => i).slice(2))]
}
