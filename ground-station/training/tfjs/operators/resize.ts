import { intAttribute, intsAttribute, type NodeProto, stringAttribute } from '@kestrel/models'
import type { Tensor } from '@tensorflow/tfjs-core'
import { type Coordinates, linearMap, sourceCoordinate } from '../../loss/interpolation.js'
import { axis, numbers, type Operator } from '../operator.js'
import type { Tf } from '../tensorflow.js'
import { pick } from './layout.js'

const COORDINATES: string[] = [
  'half_pixel',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
] satisfies Coordinates[]

const ROUNDINGS: Record<string, (at: number) => number> = {
  round_prefer_floor: at => Math.ceil(at - 0.5),
  round_prefer_ceil: at => Math.floor(at + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
}

/** Resize along any axes, nearest or linear; in linear mode at most rows and columns of an image change. */
export const resize: Operator = ({ tf }, node, [x, , scales, sizes]) => {
  const mode = stringAttribute(node, 'mode', 'nearest')
  const coordinates = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel')
  known(node, 'mode', mode, ['nearest', 'linear'])
  known(node, 'coordinate_transformation_mode', coordinates, COORDINATES)
  known(node, 'keep_aspect_ratio_policy', stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch'), [
    'stretch',
  ])
  if (intAttribute(node, 'antialias', 0) !== 0)
    throw new Error('it asks for antialias; only plain resizing is known')
  const all = x!.shape.map((_, i) => i)
  const axes = intsAttribute(node, 'axes', all).map(at => axis(at, x!.rank))
  const given = numbers((sizes ?? scales)!)
  let y = x!
  axes.forEach((at, i) => {
    const from = x!.shape[at]
    const to = sizes === undefined ? Math.floor(from * given[i]) : given[i]
    const ratio = sizes === undefined ? given[i] : to / from
    if (to === from && ratio === 1) return
    y = mode === 'nearest' ? nearest(tf, node, y, at, { to, ratio }) : linear(tf, node, y, at, { to, ratio })
  })
  return y
}

interface Target {
  to: number
  ratio: number
}

function nearest(tf: Tf, node: NodeProto, x: Tensor, at: number, { to, ratio }: Target): Tensor {
  const from = x.shape[at]
  const rounding = stringAttribute(node, 'nearest_mode', 'round_prefer_floor')
  known(node, 'nearest_mode', rounding, Object.keys(ROUNDINGS))
  const indices = Array.from({ length: to }, (_, i) => {
    // ONNX Runtime works in float32, which decides where a coordinate falls half-way.
    const at = Math.fround(sourceCoordinate(coordinatesOf(node), i, from, to, ratio))
    const source = ROUNDINGS[rounding](at)
    return Math.max(0, Math.min(from - 1, source))
  })
  return pick(tf, x, at, indices)
}

function linear(tf: Tf, node: NodeProto, x: Tensor, at: number, { to, ratio }: Target): Tensor {
  const { weights } = linearMap(x.shape[at], to, { mode: coordinatesOf(node), ratio })
  if (at < x.rank - 2) throw new Error(`it interpolates along axis ${at}; known are rows and columns`)
  return interpolate(tf, x, at === x.rank - 2 ? 'rows' : 'columns', to, weights)
}

function coordinatesOf(node: NodeProto): Coordinates {
  return stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel') as Coordinates
}

/** Bilinear up- or down-sampling of [N,C,h,w] to [N,C,height,width], half-pixel centres. */
export function resizeBilinear(tf: Tf, x: Tensor, height: number, width: number): Tensor {
  const [h, w] = x.shape.slice(2)
  const wide = w === width ? x : interpolate(tf, x, 'columns', width, linearMap(w, width).weights)
  return h === height ? wide : interpolate(tf, wide, 'rows', height, linearMap(h, height).weights)
}

/** The product with an interpolation matrix [to,from] along rows or columns of [N,C,H,W]. */
function interpolate(
  tf: Tf,
  x: Tensor,
  along: 'rows' | 'columns',
  to: number,
  weights: Float64Array,
): Tensor {
  const [h, w] = x.shape.slice(-2)
  const lead = x.shape.slice(0, -2)
  if (along === 'columns') {
    const matrix = tf.tensor2d(Float32Array.from(weights), [to, w])
    return tf.reshape(tf.matMul(tf.reshape(x, [-1, w]), matrix, false, true), [...lead, h, to])
  }
  const matrix = tf.tensor3d(Float32Array.from(weights), [1, to, h])
  return tf.reshape(tf.matMul(matrix, tf.reshape(x, [-1, h, w])), [...lead, to, w])
}

function known(node: NodeProto, what: string, found: string, choices: string[]): void {
  if (choices.includes(found)) return
  throw new Error(`its ${what} is ${found || node.opType}; known are ${choices.join(', ')}`)
}
