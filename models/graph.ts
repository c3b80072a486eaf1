import { create } from '@bufbuild/protobuf'
import {
  TensorProto_DataType as DataType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './proto/onnx_pb.js'

/** A dimension of a graph's input or output: a size, a name for one that varies, or undefined where it is not told. */
export type Dimension = number | string | undefined

/** The declaration of a graph's input or output. */
export function makeValueInfo(
  name: string,
  dims: (number | string)[],
  type = DataType.FLOAT,
): ValueInfoProto {
  const dim = dims.map(size => ({
    value:
      typeof size === 'number'
        ? { case: 'dimValue' as const, value: BigInt(size) }
        : { case: 'dimParam' as const, value: size },
  }))
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: type, shape: { dim } } } },
  })
}

/** Element type and shape of a graph's input or output; `dims` is undefined where the file declares no shape. */
export function valueShape(value: ValueInfoProto): { type: DataType; dims?: Dimension[] } {
  const tensor = value.type?.value.case === 'tensorType' ? value.type.value.value : undefined
  const dims = tensor?.shape?.dim.map(({ value: dim }) =>
    dim.case === 'dimValue'
      ? Number(dim.value)
      : dim.case === 'dimParam'
        ? dim.value || undefined
        : undefined,
  )
  return { type: (tensor?.elemType ?? DataType.UNDEFINED) as DataType, dims }
}

/** The inputs that a caller feeds: files of IR version 3 and older list the initializers among the inputs too. */
export function fedInputs(graph: GraphProto): ValueInfoProto[] {
  const initialized = new Set(graph.initializer.map(tensor => tensor.name))
  return graph.input.filter(input => !initialized.has(input.name))
}

/** What errors call a node: its name, or its operator and position where it has none. */
export function nodeLabel(node: NodeProto, index: number): string {
  return node.name || `${node.opType} #${index}`
}

export interface ModelOptions {
  name?: string
  nodes: NodeProto[]
  initializers?: TensorProto[]
  inputs: ValueInfoProto[]
  outputs: ValueInfoProto[]
  /** Versions of operator sets by domain; '' is the standard one. */
  opsets?: Record<string, number>
  metadata?: Record<string, string>
}

/** A model around a graph that was built in code. IR version 8 goes with operator set 17. */
export function makeModel(options: ModelOptions): ModelProto {
  const {
    name = 'graph',
    nodes,
    initializers = [],
    inputs,
    outputs,
    opsets = { '': 17 },
    metadata = {},
  } = options
  return create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'kestrel',
    opsetImport: Object.entries(opsets).map(([domain, version]) => ({ domain, version: BigInt(version) })),
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: { name, node: nodes, initializer: initializers, input: inputs, output: outputs },
  })
}

/** The value of a metadata entry of a model. */
export function metadataOf(proto: ModelProto, key: string): string | undefined {
  return proto.metadataProps.find(entry => entry.key === key)?.value
}
