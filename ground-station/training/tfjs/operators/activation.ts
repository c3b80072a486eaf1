import { attribute, floatAttribute, intAttribute, type NodeProto } from '@kestrel/models'
import type { Tensor } from '@tensorflow/tfjs-core'
import { axis, type Context, type Operator, plain } from '../operator.js'
import type { Tf } from '../tensorflow.js'

export const relu = plain((tf, x) => tf.relu(x))
export const sigmoid = plain((tf, x) => tf.sigmoid(x))

export const leakyRelu: Operator = ({ tf }, node, [x]) =>
  tf.leakyRelu(x!, floatAttribute(node, 'alpha', 0.01))

/** PRelu: x where positive, else slope·x; the slope broadcasts to x. */
export const prelu = plain((tf, x, slope) => tf.prelu(x, slope))

/** Clip: limits are inputs, or attributes before operator set 11. */
export const clip: Operator = ({ tf }, node, [x, low, high]) =>
  clamp(tf, x!, limit(node, 'min', low) ?? -Infinity, limit(node, 'max', high) ?? Infinity)

function limit(node: NodeProto, name: string, input: Tensor | undefined): number | undefined {
  return input?.dataSync()[0] ?? attribute(node, name)?.f
}

/** HardSigmoid: α·x + β, within 0..1. */
export const hardSigmoid: Operator = ({ tf }, node, [x]) =>
  hard(tf, x!, floatAttribute(node, 'alpha', 0.2), floatAttribute(node, 'beta', 0.5))

/** HardSwish: x·HardSigmoid(x) with α = 1/6, β = 1/2. */
export const hardSwish = plain((tf, x) => tf.mul(x, hard(tf, x, 1 / 6, 0.5)))

function hard(tf: Tf, x: Tensor, alpha: number, beta: number): Tensor {
  return clamp(tf, tf.add(tf.mul(x, alpha), beta), 0, 1)
}

/**
 * Values within low..high. The gradient is 1 strictly between them and 0 elsewhere, as for ReLU; TensorFlow.js' own clip
 * passes it on at the limits too, which matters where a channel is exactly 0.
 */
function clamp(tf: Tf, x: Tensor, low: number, high: number): Tensor {
  const bounded = (x: Tensor) => tf.minimum(tf.maximum(x, low), high)
  if (x.dtype !== 'float32') return tf.cast(bounded(x), x.dtype)
  const apply = tf.customGrad((x, save) => {
    ;(save as (tensors: Tensor[]) => void)([x as Tensor])
    return {
      value: bounded(x as Tensor),
      gradFunc: (dy, [x]) => {
        const inside = tf.logicalAnd(tf.greater(x, low), tf.less(x, high))
        return tf.mul(dy, tf.cast(inside, 'float32'))
      },
    }
  })
  return apply(x)
}

/** Softmax over one axis; before operator set 13, over that axis and all that follow. */
export const softmax: Operator = (context, node, [x]) => {
  const { tf, opset } = context
  if (opset < 13) return softmaxOfMatrix(context, node, x!)
  const at = axis(intAttribute(node, 'axis', -1), x!.rank)
  // TensorFlow.js knows the last axis only; swapping two axes is its own inverse.
  const swap = x!.shape.map((_, i) => (i === at ? x!.rank - 1 : i === x!.rank - 1 ? at : i))
  return tf.transpose(tf.softmax(tf.transpose(x!, swap)), swap)
}

function softmaxOfMatrix({ tf }: Context, node: NodeProto, x: Tensor): Tensor {
  const at = axis(intAttribute(node, 'axis', 1), x.rank)
  const rows = x.shape.slice(0, at).reduce((a, b) => a * b, 1)
  return tf.reshape(tf.softmax(tf.reshape(x, [rows, x.size / rows])), x.shape)
}
