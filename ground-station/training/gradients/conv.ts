import { intAttribute } from '@kestrel/models'
import { reduceSum } from './algebra.js'
import { inputGradient } from './conv-input.js'
import { weightGradient } from './conv-weight.js'
import type { GradientRule } from './rule.js'
import { windowsOf } from './windows.js'

/**
 * y[n,o,p] = b[o] + Σ_{i,t} w[o,i,t]·x[n,i,s·p + d·t − pad]: dx is the transposed convolution of dy, dw correlates x with dy,
 * db sums dy.
 */
export const conv: GradientRule = (node, graph, [dy]) => {
  const [x, w, b] = node.input
  const [, , ...kernel] = graph.shapeOf(w)
  const windows = windowsOf(node, graph, { over: x, positions: node.output[0], kernel })
  const group = intAttribute(node, 'group', 1)
  return [
    graph.wants(x) ? inputGradient(graph, dy!, w, { windows, group }) : undefined,
    graph.wants(w) ? weightGradient(graph, x, dy!, { windows, group }) : undefined,
    graph.wants(b) ? reduceSum(graph, dy!, [0, 2, 3]) : undefined,
  ]
}
