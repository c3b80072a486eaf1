import { axisMap } from '../loss/interpolation.js'
import { padZeros } from './algebra.js'
import { adjointAlong } from './along-axis.js'
import { normalAxis } from './axes.js'
import type { GradientRule } from './rule.js'

/** Part of a value: dx is dy where it was taken from, zeros around and between. */
export const slice: GradientRule = (node, graph, [dy]) => {
  const [x, starts, , axesInput, stepsInput] = node.input
  const dims = graph.shapeOf(x)
  const out = graph.shapeOf(node.output[0])
  const first = graph.constantOf(starts) ?? []
  const axes = (axesInput && graph.constantOf(axesInput)) || first.map((_, i) => i)
  const steps = (stepsInput && graph.constantOf(stepsInput)) || axes.map(() => 1)
  let gradient = dy!
  const before = dims.map(() => 0)
  const after = dims.map(() => 0)
  axes.forEach((given, i) => {
    const axis = normalAxis(given, dims.length)
    const size = dims[axis]
    const highest = steps[i] > 0 ? size : size - 1
    const start = Math.min(Math.max(first[i] < 0 ? first[i] + size : first[i], 0), highest)
    if (steps[i] === 1) {
      before[axis] = start
      after[axis] = size - start - out[axis]
      return
    }
    const map = axisMap(out[axis], size)
    for (let k = 0; k < map.out; k++) map.weights[k * size + start + k * steps[i]] = 1
    gradient = adjointAlong(graph, gradient, axis, map)
  })
  return [padZeros(graph, gradient, before, after)]
}
