import type { Tensor } from '@tensorflow/tfjs-core'
import { type Operator, plain } from '../operator.js'
import type { Tf } from '../tensorflow.js'

export const add = plain((tf, a, b) => tf.add(a, b))
export const sub = plain((tf, a, b) => tf.sub(a, b))
export const mul = plain((tf, a, b) => tf.mul(a, b))

/** Integers are divided as in C, towards 0; TensorFlow.js would round down. */
export const div = plain((tf, a, b) => {
  if (a.dtype !== 'int32') return tf.div(a, b)
  return tf.cast(tf.div(tf.cast(a, 'float32'), tf.cast(b, 'float32')), 'int32')
})

export const min = plain((tf, ...all) => all.reduce((a, b) => tf.minimum(a, b)))
export const max = plain((tf, ...all) => all.reduce((a, b) => tf.maximum(a, b)))
export const mod = plain((tf, a, b) => tf.mod(a, b))
export const neg = plain((tf, x) => tf.neg(x))
export const floor = plain((tf, x) => tf.floor(x))
export const ceil = plain((tf, x) => tf.ceil(x))
export const equal = plain((tf, a, b) => tf.equal(a, b))
export const greater = plain((tf, a, b) => tf.greater(a, b))
export const less = plain((tf, a, b) => tf.less(a, b))
export const not = plain((tf, x) => tf.logicalNot(x))
export const and = plain((tf, a, b) => tf.logicalAnd(a, b))
export const or = plain((tf, a, b) => tf.logicalOr(a, b))
export const where = plain((tf, condition, a, b) => {
  const shape = [condition, a, b].map(({ shape }) => shape).reduce(broadcastShape)
  return tf.where(broadcast(tf, condition, shape), broadcast(tf, a, shape), broadcast(tf, b, shape))
})

export const identity: Operator = ({ tf }, _node, [x]) => tf.clone(x!)

/** Broadcasting as ONNX has it, both ways. */
export function broadcastShape(a: number[], b: number[]): number[] {
  const rank = Math.max(a.length, b.length)
  const at = (dims: number[], i: number) => dims[i - rank + dims.length] ?? 1
  return Array.from({ length: rank }, (_, i) => (at(a, i) === 1 ? at(b, i) : at(a, i)))
}

export function broadcast(tf: Tf, x: Tensor, shape: number[]): Tensor {
  const lead = Array.from({ length: shape.length - x.shape.length }, () => 1)
  return tf.broadcastTo(tf.reshape(x, [...lead, ...x.shape]), shape)
}
