import { stringAttribute } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import { axisMap } from '../loss/interpolation.js'
import { padZeros, slice } from './algebra.js'
import { adjointAlong } from './along-axis.js'
import { normalAxis } from './axes.js'
import type { GradientRule } from './rule.js'

/**
 * A value with a border. Constant: dx is the inside of dy. Reflected, repeated or wrapped: what the border copied adds up.
 */
export const pad: GradientRule = (node, graph, [dy]) => {
  const [x, padsInput, , axesInput] = node.input
  const dims = graph.shapeOf(x)
  const mode = stringAttribute(node, 'mode', 'constant')
  const pads = graph.constantOf(padsInput)
  if (pads === undefined) {
    throw new UserError(
      `Node "${node.name}" is a Pad whose sizes depend on the image; training needs fixed ones`,
    )
  }
  const axes = (axesInput && graph.constantOf(axesInput)) || dims.map((_, i) => i)
  let gradient = dy!
  axes.forEach((given, i) => {
    const axis = normalAxis(given, dims.length)
    const size = dims[axis]
    const before = pads[i]
    const after = pads[i + axes.length]
    if (before === 0 && after === 0) return
    if (mode === 'constant') {
      const start = Math.max(0, before)
      const kept = size + Math.min(0, before) + Math.min(0, after)
      gradient = slice(graph, gradient, [axis], [start], [kept])
      // Negative padding crops: what was cut off has no gradient.
      const cut = (count: number) => dims.map((_, other) => (other === axis ? Math.max(0, -count) : 0))
      gradient = padZeros(graph, gradient, cut(before), cut(after))
      return
    }
    const map = axisMap(before + size + after, size)
    for (let k = 0; k < map.out; k++) map.weights[k * size + source(mode, k - before, size, node.name)] = 1
    gradient = adjointAlong(graph, gradient, axis, map)
  })
  return [gradient]
}

/** The index that a border element at `at` (negative, or beyond the end) repeats. */
function source(mode: string, at: number, size: number, name: string): number {
  if (mode === 'edge') return Math.min(Math.max(at, 0), size - 1)
  if (mode === 'wrap') return ((at % size) + size) % size
  if (mode !== 'reflect') {
    throw new UserError(
      `Node "${name}" is a Pad of mode "${mode}"; training knows constant, reflect, edge and wrap`,
    )
  }
  if (size === 1) return 0
  const period = 2 * (size - 1)
  const within = ((at % period) + period) % period
  return within < size ? within : period - within
}
