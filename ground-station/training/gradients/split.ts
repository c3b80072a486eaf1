import { intAttribute } from '@kestrel/models'
import { concat, size } from './algebra.js'
import { normalAxis } from './axes.js'
import type { GradientRule } from './rule.js'

/** A value cut into parts along an axis: dx is their gradients one after another, zeros for a part that is not used. */
export const split: GradientRule = (node, graph, gradients) => {
  const axis = normalAxis(intAttribute(node, 'axis', 0), graph.shapeOf(node.input[0]).length)
  const parts = node.output.map((name, i) => {
    const dims = graph.shapeOf(name)
    return gradients[i] ?? graph.floats(dims, new Float32Array(size(dims)))
  })
  return [concat(graph, parts, axis)]
}
