import { intAttribute, type NodeProto } from '@kestrel/models'
import { blockedForward, canBlock } from '../graph/blocked.js'
import type { Emitter } from '../graph/emitter.js'
import { reduceSum } from './algebra.js'
import { inputGradient } from './conv-input.js'
import { weightGradient } from './conv-weight.js'
import type { GradientRule } from './rule.js'
import { type Window, windowsOf } from './windows.js'

/**
 * y[n,o,p] = b[o] + Σ_{i,t} w[o,i,t]·x[n,i,s·p + d·t − pad]: dx is the transposed convolution of dy, dw correlates x with dy,
 * db sums dy.
 */
export const conv: GradientRule = (node, graph, [dy]) => {
  const [x, w, b] = node.input
  const windows = convWindows(node, graph)
  const group = intAttribute(node, 'group', 1)
  return [
    graph.wants(x) ? inputGradient(graph, dy!, w, { windows, group }) : undefined,
    graph.wants(w) ? weightGradient(graph, x, dy!, { windows, group }) : undefined,
    graph.wants(b) ? reduceSum(graph, dy!, [0, 2, 3]) : undefined,
  ]
}

/** Strided depthwise convolutions are slow outside the blocked layout; the others are left to ONNX Runtime. */
export function convForward(node: NodeProto, graph: Emitter): void {
  const [x, w] = node.input
  const windows = convWindows(node, graph)
  const group = intAttribute(node, 'group', 1)
  const depthwise = group > 1 && graph.shapeOf(x)[1] === group && graph.shapeOf(w)[0] === group
  if (canBlock(graph) && depthwise && windows.some(({ s }) => s > 1)) blockedForward(graph, node, windows)
  else graph.copy(node)
}

function convWindows(node: NodeProto, graph: Emitter): [Window, Window] {
  const [x, w] = node.input
  const [, , ...kernel] = graph.shapeOf(w)
  return windowsOf(node, graph, { over: x, positions: node.output[0], kernel })
}
