import { attribute, intAttribute, intsAttribute, type NodeProto, stringAttribute } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import type { Emitter } from '../graph/emitter.js'
import {
  type AxisMap,
  axisMap,
  type Coordinates,
  linearMap,
  sourceCoordinate,
} from '../loss/interpolation.js'
import { adjointAlong } from './along-axis.js'
import { normalAxis } from './axes.js'
import type { GradientRule } from './rule.js'

const COORDINATES = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric']

/** Interpolation is linear along each axis in turn: dx = Mᵀ·dy along each that changes size. */
export const resize: GradientRule = (node, graph, [dy]) => {
  const [x] = node.input
  const from = graph.shapeOf(x)
  const to = graph.shapeOf(node.output[0])
  const ratios = ratiosOf(node, graph)
  let gradient = dy!
  from.forEach((size, axis) => {
    if (size === to[axis] && (ratios[axis] ?? 1) === 1) return
    gradient = adjointAlong(graph, gradient, axis, resizeMap(node, size, to[axis], ratios[axis]))
  })
  return [gradient]
}

/** Output over input size by axis, as the node states it; undefined where it states sizes. */
function ratiosOf(node: NodeProto, graph: Emitter): (number | undefined)[] {
  const rank = graph.shapeOf(node.input[0]).length
  const scales = node.input[2] ? graph.constantOf(node.input[2]) : undefined
  const ratios: (number | undefined)[] = Array.from({ length: rank })
  if (scales === undefined || scales.length === 0) return ratios
  const axes = intsAttribute(
    node,
    'axes',
    ratios.map((_, i) => i),
  )
  axes.forEach((axis, i) => {
    ratios[normalAxis(axis, rank)] = scales[i]
  })
  return ratios
}

function resizeMap(node: NodeProto, from: number, to: number, ratio = to / from): AxisMap {
  const mode = stringAttribute(node, 'mode', 'nearest')
  const coordinates = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel')
  const antialias = attribute(node, 'antialias') !== undefined && intAttribute(node, 'antialias', 0) === 1
  if (!COORDINATES.includes(coordinates) || (mode !== 'linear' && mode !== 'nearest') || antialias) {
    throw new UserError(
      `Node "${node.name}" is a Resize of mode ${mode}, coordinates ${coordinates}${antialias ? ', antialiased' : ''}; ` +
        `training knows nearest and linear with ${COORDINATES.join(', ')}`,
    )
  }
  if (mode === 'linear') return linearMap(from, to, { mode: coordinates as Coordinates, ratio })
  const rounding = stringAttribute(node, 'nearest_mode', 'round_prefer_floor')
  const map = axisMap(to, from)
  for (let i = 0; i < to; i++) {
    const at = round(rounding, sourceCoordinate(coordinates as Coordinates, i, from, to, ratio))
    map.weights[i * from + Math.min(Math.max(at, 0), from - 1)] = 1
  }
  return map
}

/** ONNX nearest_mode. */
function round(mode: string, value: number): number {
  if (mode === 'floor') return Math.floor(value)
  if (mode === 'ceil') return Math.ceil(value)
  return mode === 'round_prefer_ceil' ? Math.floor(value + 0.5) : Math.ceil(value - 0.5)
}
