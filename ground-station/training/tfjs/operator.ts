import { attribute, intsAttribute, type NodeProto } from '@kestrel/models'
import type { Tensor } from '@tensorflow/tfjs-core'
import type { Tf } from './tensorflow.js'

/** What an operator may know besides its node and inputs. */
export interface Context {
  tf: Tf
  /** Version of the standard operator set that the student uses. */
  opset: number
  batchNorm: 'frozen' | 'batch'
  /** Told the mean and variance of a batch, by name of the initializer that holds the running value. */
  observe(name: string, statistic: Tensor): void
}

/**
 * Computes an operator as the ONNX standard defines it, in functions of TensorFlow.js that have gradients, which makes
 * the operator trainable. Tensors keep the layout of the graph, [N,C,H,W]; integers (shape arithmetic) are int32 tensors.
 *
 * @param inputs undefined where an optional one is left out
 * @returns one tensor an output that is used
 */
export type Operator = (
  context: Context,
  node: NodeProto,
  inputs: (Tensor | undefined)[],
) => Tensor | Tensor[]

/** An operator whose inputs are all there. */
export function plain(compute: (tf: Tf, ...inputs: Tensor[]) => Tensor): Operator {
  return ({ tf }, _node, inputs) => compute(tf, ...(inputs as Tensor[]))
}

/** The values of a small tensor, such as a shape. */
export function numbers(tensor: Tensor): number[] {
  return Array.from(tensor.dataSync())
}

/** Integers that newer operator sets take as an input and older ones as an attribute. */
export function integers(node: NodeProto, input: Tensor | undefined, name: string): number[] | undefined {
  if (input !== undefined) return numbers(input)
  return attribute(node, name) && intsAttribute(node, name, [])
}

/** A negative axis counts from the end. */
export function axis(given: number, rank: number): number {
  return given < 0 ? given + rank : given
}

export function product(dims: number[]): number {
  return dims.reduce((a, b) => a * b, 1)
}
