import { intAttribute, type NodeProto } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import type { Emitter } from '../graph/emitter.js'
import { reduceSum } from './algebra.js'
import { convolve } from './conv-input.js'
import { weightGradient } from './conv-weight.js'
import type { GradientRule } from './rule.js'
import { type Window, windowsOf } from './windows.js'

/**
 * The adjoint of a convolution with the same weight, [I,O/group,k,k]. So dx is that convolution of dy, and dw is that
 * convolution's, with dy as its input and x as its output's gradient.
 */
export const convTranspose: GradientRule = (node, graph, [dy]) => {
  const [x, w, b] = node.input
  const windows = transposeWindows(node, graph)
  const group = intAttribute(node, 'group', 1)
  return [
    graph.wants(x) ? convolve(graph, dy!, w, { windows, group }) : undefined,
    graph.wants(w) ? weightGradient(graph, dy!, x, { windows, group }) : undefined,
    graph.wants(b) ? reduceSum(graph, dy!, [0, 2, 3]) : undefined,
  ]
}

/** The windows move over the output; the input has an element for each of their positions. */
function transposeWindows(node: NodeProto, graph: Emitter): [Window, Window] {
  const [x, w] = node.input
  const [, , ...kernel] = graph.shapeOf(w)
  const windows = windowsOf(node, graph, { over: node.output[0], positions: x, kernel })
  // The padding at the end follows from the size of the output, whatever attributes that came from.
  return windows.map(window => {
    const after = window.s * (window.out - 1) + window.d * (window.k - 1) + 1 - window.in - window.before
    if (window.before >= 0) return { ...window, after: Math.max(0, after) }
    throw new UserError(
      `Node "${node.name}" is a ConvTranspose with negative padding, which is not trained through`,
    )
  }) as [Window, Window]
}
