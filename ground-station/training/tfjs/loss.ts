import { IGNORE } from '@kestrel/models'
import type { Scalar, Tensor } from '@tensorflow/tfjs-core'
import { resizeBilinear } from './operators/resize.js'
import type { Tf } from './tensorflow.js'

/**
 * Cross-entropy at label size, as training/engine.ts defines it: Σ over labelled pixels of −log softmax at the label, times
 * the ω of its class.
 *
 * @param logits [N,C,h,w]
 * @param labels [N,labelHeight,labelWidth] class indices or IGNORE
 * @param options.omega ω by class, [C] (loss/targets.ts)
 */
export function crossEntropy(
  tf: Tf,
  logits: Tensor,
  labels: Uint8Array,
  options: { labelHeight: number; labelWidth: number; omega: Float64Array },
): Scalar {
  const { labelHeight, labelWidth, omega } = options
  const classes = logits.shape[1]!
  const scores = tf.transpose(resizeBilinear(tf, logits, labelHeight, labelWidth), [0, 2, 3, 1])
  const logProbabilities = tf.logSoftmax(tf.reshape(scores, [-1, classes]))
  // One row a pixel: ω at its label, all zeros where there is none.
  const truth = new Float32Array(labels.length * classes)
  for (const [i, label] of labels.entries()) if (label !== IGNORE) truth[i * classes + label] = omega[label]
  return tf.neg(tf.sum(tf.mul(logProbabilities, tf.tensor2d(truth, [labels.length, classes]))))
}
