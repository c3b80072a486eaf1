import { intAttribute } from '@kestrel/models'
import { mul, reduceSum, sub } from './algebra.js'
import { normalAxis } from './axes.js'
import type { GradientRule } from './rule.js'

/** y = e^x / Σ e^x along an axis: dx = y·(dy − Σ dy·y). */
export const softmax: GradientRule = (node, graph, [dy]) => {
  const [y] = node.output
  const axis = normalAxis(intAttribute(node, 'axis', -1), graph.shapeOf(y).length)
  const along = reduceSum(graph, mul(graph, dy!, y), [axis], true)
  return [mul(graph, y, sub(graph, dy!, along))]
}
