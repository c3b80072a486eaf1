import { create } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
} from './proto/onnx_pb.js'

/** A node's attribute of that name, if it has one. */
export function attribute(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute.find(candidate => candidate.name === name)
}

export function intAttribute(node: NodeProto, name: string, fallback: number): number {
  const found = attribute(node, name)
  return found === undefined ? fallback : Number(found.i)
}

export function intsAttribute(node: NodeProto, name: string, fallback: number[]): number[] {
  const found = attribute(node, name)
  return found === undefined ? fallback : found.ints.map(Number)
}

export function floatAttribute(node: NodeProto, name: string, fallback: number): number {
  return attribute(node, name)?.f ?? fallback
}

export function floatsAttribute(node: NodeProto, name: string, fallback: number[]): number[] {
  return attribute(node, name)?.floats ?? fallback
}

export function stringAttribute(node: NodeProto, name: string, fallback: string): string {
  const found = attribute(node, name)
  return found === undefined ? fallback : new TextDecoder().decode(found.s)
}

export function tensorAttribute(node: NodeProto, name: string): TensorProto | undefined {
  return attribute(node, name)?.t
}

/** A bare number is an int64, as most attributes are; floats are marked, since 1 and 1.0 look the same here. */
export type AttributeValue =
  | number
  | number[]
  | string
  | TensorProto
  | { float: number }
  | { floats: number[] }

/** An attribute for a node that is being built. */
export function makeAttribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number') {
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: integer(name, value) })
  }
  if (Array.isArray(value)) {
    const ints = value.map(item => integer(name, item))
    return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints })
  }
  if (typeof value === 'string') {
    const s = new TextEncoder().encode(value)
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s })
  }
  if ('float' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float })
  }
  if ('floats' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: value.floats })
  }
  return create(AttributeProtoSchema, { name, type: AttributeType.TENSOR, t: value })
}

function integer(name: string, value: number): bigint {
  if (!Number.isInteger(value)) {
    throw new RangeError(`Attribute "${name}" is ${value}; mark a float as { float: ${value} }`)
  }
  return BigInt(value)
}

/**
 * A node of the standard operator set.
 *
 * @param inputs names; '' stands for an optional input that is left out
 * @param name unique within the graph; the first output's name if not given
 */
export function makeNode(
  opType: string,
  inputs: string[],
  outputs: string[],
  attributes: Record<string, AttributeValue> = {},
  name: string = outputs[0],
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    name,
    input: inputs,
    output: outputs,
    attribute: Object.entries(attributes).map(([key, value]) => makeAttribute(key, value)),
  })
}
