import type { NodeProto } from '@kestrel/models'
import type { Emitter } from '../graph/emitter.js'

/**
 * The backward half of an operator: writes into `graph` the nodes that turn the gradients of a node's outputs into those of
 * its inputs.
 *
 * @param outputGradients by output; undefined where the loss does not depend on it
 * @returns by input; undefined where none is wanted (`graph.wants`) or none exists
 */
export type GradientRule = (
  node: NodeProto,
  graph: Emitter,
  outputGradients: (string | undefined)[],
) => (string | undefined)[]

/** An operator that can be trained through. */
export interface Operator {
  /** Writes the node; without it, the node is copied as it is. */
  forward?(node: NodeProto, graph: Emitter): void
  backward: GradientRule
  /** Batch statistics that its forward half made: name of the running value's initializer, name of the output. */
  statistics?(node: NodeProto, graph: Emitter): [string, string][]
}
