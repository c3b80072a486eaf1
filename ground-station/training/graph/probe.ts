import { create } from '@bufbuild/protobuf'
import {
  TensorProto_DataType as DataType,
  type GraphProto,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
  writeOnnx,
} from '@kestrel/models'
import type { Tensor } from 'onnxruntime-node'
import { openSession } from '../session.js'

/** What a run of the student told about its graph. */
export interface Probe {
  /** Shapes of all float values that depend on the image. */
  shapes: Map<string, number[]>
  /** Values that depend neither on the image nor on a parameter, such as shapes that the graph works out. */
  constants: Map<string, TensorProto>
}

/** Operators that look at a value's shape only. */
const SHAPE_ONLY = new Set(['Shape', 'Size'])

/**
 * Finds shapes and folds shape arithmetic by having ONNX Runtime run the student once on an image of zeros: what
 * it computes is right by definition, for every operator there is, so nothing here has to know them.
 *
 * @param input the image, with the dimensions it will have
 * @param changing names of the values that depend on the image or a parameter
 * @throws what ONNX Runtime throws, where the student does not run on such an input
 */
export async function probe(
  graph: GraphProto,
  opsets: Record<string, number>,
  input: { name: string; dims: number[] },
  changing: Set<string>,
): Promise<Probe> {
  const fixed = new Set(
    graph.node
      .filter(node => changing.has(node.output[0]))
      .flatMap(node => node.input.filter(name => name !== '')),
  )
  const initialized = new Set(graph.initializer.map(tensor => tensor.name))
  const folded = graph.node
    .flatMap(node => node.output)
    .filter(name => fixed.has(name) && !changing.has(name) && !initialized.has(name))
  const measured = graph.node.flatMap(node => node.output).filter(name => name !== '' && changing.has(name))
  const shapes = measured.map((name, i) => makeNode('Shape', [name], [`kestrel/shape.${i}`]))
  const model = makeModel({
    nodes: [...graph.node, ...shapes],
    initializers: graph.initializer,
    inputs: [makeValueInfo(input.name, input.dims)],
    outputs: [...folded, ...shapes.map(node => node.output[0])].map(untyped),
    opsets,
  })
  const { session, Tensor } = await openSession(writeOnnx(model), { graphOptimizationLevel: 'disabled' })
  try {
    const image = new Tensor('float32', new Float32Array(input.dims.reduce((a, b) => a * b, 1)), input.dims)
    const found = await session.run({ [input.name]: image })
    const dims = (i: number) => Array.from(found[`kestrel/shape.${i}`].data as BigInt64Array, Number)
    return {
      shapes: new Map(measured.map((name, i) => [name, dims(i)])),
      constants: new Map(folded.map(name => [name, toProto(name, found[name])])),
    }
  } finally {
    await session.release()
  }
}

/** The names of values that depend on the data (not only on the shape) of any of `sources`, these included. */
export function dependents(graph: { node: NodeProto[] }, sources: Set<string>): Set<string> {
  const names = new Set(sources)
  for (const node of graph.node) {
    if (SHAPE_ONLY.has(node.opType) || !node.input.some(name => names.has(name))) continue
    for (const name of node.output) if (name !== '') names.add(name)
  }
  return names
}

/** ONNX Runtime infers the types of outputs that declare none. */
function untyped(name: string): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name })
}

function toProto(name: string, tensor: Tensor): TensorProto {
  const proto = makeTensor(name, [...tensor.dims], tensor.data as Float32Array)
  if (tensor.type === 'bool') proto.dataType = DataType.BOOL
  return proto
}
