import { intAttribute } from '@kestrel/models'
import { slice } from './algebra.js'
import { normalAxis } from './axes.js'
import type { GradientRule } from './rule.js'

/** Values one after another along an axis: each gets its part of dy. */
export const concat: GradientRule = (node, graph, [dy]) => {
  const axis = normalAxis(intAttribute(node, 'axis', 0), graph.shapeOf(node.output[0]).length)
  let start = 0
  return node.input.map(name => {
    const count = graph.shapeOf(name)[axis]
    start += count
    return graph.wants(name) ? slice(graph, dy!, [axis], [start - count], [count]) : undefined
  })
}
