import { floatAttribute } from '@kestrel/models'
import type { Operator } from '../operator.js'

/**
 * BatchNormalization: γ·(x − μ)/√(σ² + ε) + β per channel, with the stored statistics (frozen) or with those of
 * the batch, through which the gradient then flows too.
 */
export const batchNormalization: Operator = (
  context,
  node,
  [x, scale, shift, storedMean, storedVariance],
) => {
  const { tf, batchNorm, observe } = context
  const epsilon = floatAttribute(node, 'epsilon', 1e-5)
  // One number a channel, in a shape that broadcasts over x.
  const shape = x!.shape.map((size, i) => (i === 1 ? size : 1))
  const { mean, variance } =
    batchNorm === 'batch'
      ? tf.moments(
          x!,
          x!.shape.map((_, i) => i).filter(i => i !== 1),
          true,
        )
      : { mean: tf.reshape(storedMean!, shape), variance: tf.reshape(storedVariance!, shape) }
  if (batchNorm === 'batch') {
    observe(node.input[3], mean)
    observe(node.input[4], variance)
  }
  const factor = tf.div(tf.reshape(scale!, shape), tf.sqrt(tf.add(variance, epsilon)))
  return tf.add(tf.mul(tf.sub(x!, mean), factor), tf.reshape(shift!, shape))
}
