import { intAttribute } from '@kestrel/models'
import type { Tensor } from '@tensorflow/tfjs-core'
import { axis, type Context, integers, type Operator } from '../operator.js'

/** A reduction over axes that an attribute or, later, an input gives; over all where none are given. */
function reduction(apply: (tf: Context['tf'], x: Tensor, axes: number[], keep: boolean) => Tensor): Operator {
  return ({ tf }, node, [x, input]) => {
    const given = integers(node, input, 'axes') ?? []
    if (given.length === 0 && intAttribute(node, 'noop_with_empty_axes', 0) === 1) return tf.clone(x!)
    const axes = given.length === 0 ? x!.shape.map((_, i) => i) : given.map(at => axis(at, x!.rank))
    return apply(tf, x!, axes, intAttribute(node, 'keepdims', 1) === 1)
  }
}

export const reduceMean = reduction((tf, x, axes, keep) => tf.mean(x, axes, keep))
export const reduceSum = reduction((tf, x, axes, keep) => tf.sum(x, axes, keep))
export const reduceProd = reduction((tf, x, axes, keep) => tf.prod(x, axes, keep))
