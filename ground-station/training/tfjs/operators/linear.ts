import { floatAttribute, intAttribute } from '@kestrel/models'
import type { Tensor } from '@tensorflow/tfjs-core'
import { type Operator, plain, product } from '../operator.js'
import type { Tf } from '../tensorflow.js'
import { broadcast, broadcastShape } from './arithmetic.js'

/** Gemm: α·A·B + β·C, A or B transposed if told so. */
export const gemm: Operator = ({ tf }, node, [a, b, c]) => {
  const flag = (name: string) => intAttribute(node, name, 0) === 1
  const ab = tf.mul(tf.matMul(a!, b!, flag('transA'), flag('transB')), floatAttribute(node, 'alpha', 1))
  return c === undefined ? ab : tf.add(ab, tf.mul(c, floatAttribute(node, 'beta', 1)))
}

/** MatMul as numpy has it: vectors become a row (left) or a column (right), all axes but the last two broadcast. */
export const matMul = plain((tf, a, b) => {
  const left = a.rank === 1 ? tf.expandDims(a, 0) : a
  const right = b.rank === 1 ? tf.expandDims(b, 1) : b
  const outer = broadcastShape(left.shape.slice(0, -2), right.shape.slice(0, -2))
  const [rows, columns] = [left.shape.at(-2)!, right.shape.at(-1)!]
  const y =
    right.rank === 2
      ? tf.matMul(tf.reshape(left, [-1, left.shape.at(-1)!]), right)
      : tf.matMul(batches(tf, left, outer), batches(tf, right, outer))
  const shape = [...outer, ...(a.rank === 1 ? [] : [rows]), ...(b.rank === 1 ? [] : [columns])]
  return tf.reshape(y, shape)
})

/** [batches,rows,columns]: TensorFlow.js' gradient of a product does not know broadcasting. */
function batches(tf: Tf, x: Tensor, outer: number[]): Tensor {
  const inner = x.shape.slice(-2)
  return tf.reshape(broadcast(tf, x, [...outer, ...inner]), [product(outer), ...inner])
}
