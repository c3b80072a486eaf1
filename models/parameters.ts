import { UserError } from '@kestrel/runtime/errors'
import { tensorAttribute } from './attributes.js'
import { nodeLabel } from './graph.js'
import { type OnnxModel, rawOffset, readOnnx, writeOnnx } from './onnx.js'
import {
  TensorProto_DataType as DataType,
  type GraphProto,
  type NodeProto,
  type TensorProto,
} from './proto/onnx_pb.js'
import { makeTensor, tensorData, tensorShape } from './tensor.js'

export type ParameterRole = 'weight' | 'bias' | 'scale' | 'shift' | 'slope'

/** One trainable tensor: where it lies in the parameter vector and in the bytes of the model. */
export interface ParameterTensor {
  /** Name of the initializer. */
  name: string
  dims: number[]
  /** Number of floats. */
  count: number
  /** Index of its first float in the parameter vector. */
  offset: number
  /** Byte offset of its little-endian float32 data in the model's bytes; need not be a multiple of 4. */
  byteOffset: number
  /** The first node that reads it. */
  node: string
  opType: string
  role: ParameterRole
}

/** Inputs that hold parameters, by operator: position → role. */
const slots: Record<string, Record<number, ParameterRole>> = {
  Conv: { 1: 'weight', 2: 'bias' },
  ConvTranspose: { 1: 'weight', 2: 'bias' },
  Gemm: { 1: 'weight', 2: 'bias' },
  MatMul: { 0: 'weight', 1: 'weight' },
  BatchNormalization: { 1: 'scale', 2: 'shift' },
  PRelu: { 1: 'slope' },
}

/** A place where a node reads a parameter. */
interface Use {
  node: NodeProto
  index: number
  input: number
  role: ParameterRole
  /** The initializer, or the value of a Constant node. */
  tensor: TensorProto
  /** The Constant node, when the tensor is one's value. */
  constant?: NodeProto
}

/**
 * The parameters of a student in graph order (DESIGN.md section 2): the float32 initializers that feed Conv,
 * ConvTranspose, Gemm and MatMul (weight, bias), BatchNormalization (scale, bias) and PRelu (slope), directly or through
 * Identity. The Add that follows a MatMul carries its bias (a vector as long as the last axis, the way linear layers are
 * exported), so that one counts too; other Adds, and the Mul, Sub and Div that normalise the image, are constants, as are the
 * running statistics of BatchNormalization. A tensor that several nodes share appears once.
 *
 * @param model prepared by `prepareParameters`
 */
export function findParameters(model: OnnxModel, source: string): ParameterTensor[] {
  const parameters: ParameterTensor[] = []
  const seen = new Set<string>()
  let offset = 0
  for (const { node, index, role, tensor } of parameterUses(model.proto.graph!, source)) {
    if (seen.has(tensor.name)) continue
    seen.add(tensor.name)
    const { dims, count } = tensorShape(tensor)
    const label = nodeLabel(node, index)
    const byteOffset = rawOffset(model, tensor)
    parameters.push({
      name: tensor.name,
      dims,
      count,
      offset,
      byteOffset,
      node: label,
      opType: node.opType,
      role,
    })
    offset += count
  }
  return parameters
}

/**
 * Brings a model into the form that `findParameters` and patching need, writing it anew only where it is not in it:
 * parameters that are values of Constant nodes become initializers; initializers are no graph inputs (a habit of IR version 3
 * that would also keep ONNX Runtime from folding them); and a tensor that exporters merged because its values happened to be equal,
 * such as a BatchNormalization's bias and its running mean, is split, so that training one leaves the other alone.
 */
export function prepareParameters(model: OnnxModel, source: string): OnnxModel {
  const graph = model.proto.graph!
  const uses = parameterUses(graph, source)
  const promoted = promoteConstants(graph, uses)
  const split = splitShared(graph, uses)
  const listed = unlistInitializers(graph)
  if (!promoted && !split && !listed) return model
  if (model.proto.irVersion < 4n) model.proto.irVersion = 4n
  return readOnnx(writeOnnx(model.proto), source)
}

function parameterUses(graph: GraphProto, source: string): Use[] {
  const initializers = new Map(graph.initializer.map(tensor => [tensor.name, tensor]))
  const producers = new Map(graph.node.flatMap(node => node.output.map(name => [name, node] as const)))
  const resolve = (name: string): { tensor: TensorProto; constant?: NodeProto } | undefined => {
    // Identity chains are short; the bound keeps a graph that is a circle from holding us up.
    for (let at = name, hops = 0; hops < 16; hops++) {
      const tensor = initializers.get(at)
      if (tensor !== undefined) return { tensor }
      const producer = producers.get(at)
      if (producer?.opType === 'Constant') {
        const value = tensorAttribute(producer, 'value')
        return value === undefined ? undefined : { tensor: value, constant: producer }
      }
      if (producer?.opType !== 'Identity') return undefined
      at = producer.input[0]
    }
    return undefined
  }
  const uses: Use[] = []
  graph.node.forEach((node, index) => {
    if (node.domain !== '' && node.domain !== 'ai.onnx') return
    for (const [input, name] of node.input.entries()) {
      const role = slots[node.opType]?.[input] ?? linearBias(node, input, producers, resolve)
      const found = role === undefined ? undefined : resolve(name)
      if (role === undefined || found === undefined) continue
      const type = found.tensor.dataType
      if (type === DataType.FLOAT16 || type === DataType.DOUBLE) {
        throw new UserError(
          `${source}: the ${role} of node "${nodeLabel(node, index)}" is ${DataType[type].toLowerCase()}; ` +
            'students are trained in float32: export the model in float32',
        )
      }
      if (type !== DataType.FLOAT || tensorShape(found.tensor).count === 0) continue
      uses.push({ node, index, input, role, ...found })
    }
  })
  return uses
}

/** `bias` where `node` is the Add of a linear layer: MatMul's output plus a vector as long as the weight's last axis. */
function linearBias(
  node: NodeProto,
  input: number,
  producers: Map<string, NodeProto>,
  resolve: (name: string) => { tensor: TensorProto } | undefined,
): 'bias' | undefined {
  if (node.opType !== 'Add' || node.input.length !== 2) return undefined
  const product = producers.get(node.input[1 - input])
  if (product?.opType !== 'MatMul') return undefined
  const weight = resolve(product.input[1])?.tensor
  const bias = resolve(node.input[input])?.tensor
  const fits = weight !== undefined && bias?.dims.length === 1 && bias.dims[0] === weight.dims.at(-1)
  return fits ? 'bias' : undefined
}

function promoteConstants(graph: GraphProto, uses: Use[]): boolean {
  const constants = new Map(uses.flatMap(use => (use.constant ? [[use.constant, use.tensor] as const] : [])))
  for (const [node, value] of constants) {
    const { dims, data } = tensorData(value)
    graph.initializer.push(makeTensor(node.output[0], dims, data as Float32Array))
  }
  graph.node = graph.node.filter(node => !constants.has(node))
  return constants.size > 0
}

function splitShared(graph: GraphProto, uses: Use[]): boolean {
  const parameters = new Map(uses.map(use => [use.constant?.output[0] ?? use.tensor.name, use.tensor]))
  const places = new Map<NodeProto, Set<number>>()
  for (const { node, input } of uses) places.set(node, (places.get(node) ?? new Set()).add(input))
  const twins = new Map<string, string>()
  for (const node of graph.node) {
    if (node.opType === 'Identity') continue
    node.input.forEach((name, input) => {
      const tensor = parameters.get(name)
      if (tensor === undefined || places.get(node)?.has(input)) return
      let twin = twins.get(name)
      if (twin === undefined) {
        twin = `${name}.constant`
        twins.set(name, twin)
        const { dims, data } = tensorData(tensor)
        graph.initializer.push(makeTensor(twin, dims, data as Float32Array))
      }
      node.input[input] = twin
    })
  }
  return twins.size > 0
}

function unlistInitializers(graph: GraphProto): boolean {
  const initialized = new Set(graph.initializer.map(tensor => tensor.name))
  const fed = graph.input.filter(input => !initialized.has(input.name))
  const listed = fed.length < graph.input.length
  graph.input = fed
  return listed
}
