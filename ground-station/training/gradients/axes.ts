import { attribute, intAttribute, intsAttribute, type NodeProto } from '@kestrel/models'
import type { Emitter } from '../graph/emitter.js'

/** A negative axis counts from the end. */
export function normalAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

/**
 * The axes of a reduction: an attribute in older operator sets, an input in newer ones. Where there are
 * none: all axes, or undefined if the node says that this means no reduction.
 */
export function reducedAxes(node: NodeProto, graph: Emitter): number[] | undefined {
  const rank = graph.shapeOf(node.input[0]).length
  const given = attribute(node, 'axes')
    ? intsAttribute(node, 'axes', [])
    : node.input[1]
      ? graph.constantOf(node.input[1])
      : undefined
  if (given === undefined || given.length === 0) {
    if (intAttribute(node, 'noop_with_empty_axes', 0) === 1) return undefined
    return Array.from({ length: rank }, (_, i) => i)
  }
  return given.map(axis => normalAxis(axis, rank))
}
