import { IGNORE } from '@kestrel/models'
import type { Scalar, Tensor } from '@tensorflow/tfjs-core'
import { resizeBilinear } from './operators/resize.js'
import type { Tf } from './tensorflow.js'

/**
 * Cross-entropy at label size, as training/engine.ts defines it: Σ over labelled pixels of −log softmax at the label, times
 * `norm`.
 *
 * @param logits [N,C,h,w]
 * @param labels [N,labelHeight,labelWidth] class indices or IGNORE
 * @param norm 1 / labelled pixels of the whole batch
 */
export function crossEntropy(
  tf: Tf,
  logits: Tensor,
  labels: Uint8Array,
  options: { labelHeight: number; labelWidth: number; norm: number },
): Scalar {
  const { labelHeight, labelWidth, norm } = options
  const classes = logits.shape[1]!
  const scores = tf.transpose(resizeBilinear(tf, logits, labelHeight, labelWidth), [0, 2, 3, 1])
  const logProbabilities = tf.logSoftmax(tf.reshape(scores, [-1, classes]))
  // One row a pixel: `norm` at its label, all zeros where there is none.
  const truth = new Float32Array(labels.length * classes)
  for (const [i, label] of labels.entries()) if (label !== IGNORE) truth[i * classes + label] = norm
  return tf.neg(tf.sum(tf.mul(logProbabilities, tf.tensor2d(truth, [labels.length, classes]))))
}
