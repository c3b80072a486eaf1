import {
  type AttributeValue,
  floatAttribute,
  type GraphProto,
  intAttribute,
  makeNode,
  makeTensor,
  type NodeProto,
  type TensorProto,
} from '@kestrel/models'

/**
 * BatchNormalization with frozen statistics is y = a·x + c per channel, a = γ/√(σ²+ε), c = β − a·μ. Where it follows a
 * convolution it folds into that: weight a·W, bias c + a·b. Written as nodes over the parameters, this costs next to nothing, leaves
 * no trace in activations, forward or backward, and is differentiated like everything else. Elsewhere it becomes a
 * Mul and an Add.
 *
 * Numbers that people measured stay what they were but for rounding.
 */
export function foldBatchNorm(graph: GraphProto): GraphProto {
  const initializers = new Map(graph.initializer.map(tensor => [tensor.name, tensor]))
  const producers = new Map(graph.node.flatMap(node => node.output.map(name => [name, node] as const)))
  const outputs = new Set(graph.output.map(({ name }) => name))
  const readers = new Map<string, number>()
  for (const name of graph.node.flatMap(node => node.input)) readers.set(name, (readers.get(name) ?? 0) + 1)

  const replaced = new Map<NodeProto, NodeProto[]>()
  const added: TensorProto[] = []
  for (const node of graph.node) {
    if (node.opType !== 'BatchNormalization') continue
    const [x, scale, shift, mean, variance] = node.input
    const prefix = `kestrel/fold.${node.output[0]}`
    const constant = (name: string, dims: number[], data: Float32Array | BigInt64Array) => {
      added.push(makeTensor(`${prefix}/${name}`, dims, data))
      return `${prefix}/${name}`
    }
    const made: NodeProto[] = []
    const emit = (
      opType: string,
      inputs: string[],
      name: string,
      attributes: Record<string, AttributeValue> = {},
    ) => {
      made.push(makeNode(opType, inputs, [name === '' ? node.output[0] : `${prefix}/${name}`], attributes))
      return name === '' ? node.output[0] : `${prefix}/${name}`
    }
    // The statistics are constants, and so is what is made of them alone: worked out once, when the graph is built.
    const epsilon = constant('epsilon', [], Float32Array.of(floatAttribute(node, 'epsilon', 1e-5)))
    const deviation = emit('Sqrt', [emit('Add', [variance, epsilon], 'variance')], 'deviation')
    const a = emit('Mul', [scale, emit('Reciprocal', [deviation], 'inverse')], 'a')
    const c = emit('Sub', [shift, emit('Mul', [a, mean], 'am')], 'c')
    const vector = (name: string, rank: number, axis: number, to: string) =>
      emit('Reshape', [name, constant(`${to}.shape`, [rank], channelShape(rank, axis))], to)

    const producer = producers.get(x)
    const weight = initializers.get(producer?.input[1] ?? '')
    const axis = producer?.opType === 'Conv' ? 0 : producer?.opType === 'ConvTranspose' ? 1 : undefined
    const folds =
      producer !== undefined &&
      axis !== undefined &&
      weight !== undefined &&
      readers.get(x) === 1 &&
      !outputs.has(x) &&
      !replaced.has(producer) &&
      (axis === 0 || intAttribute(producer, 'group', 1) === 1)
    if (folds) {
      const [input, , bias] = producer.input
      const w = emit('Mul', [weight.name, vector(a, weight.dims.length, axis, 'a.channels')], 'w')
      const b = bias ? emit('Add', [c, emit('Mul', [a, bias], 'ab')], 'b') : c
      const convolution = makeNode(producer.opType, [input, w, b], [node.output[0]], {}, producer.name)
      convolution.attribute = producer.attribute
      replaced.set(producer, [])
      replaced.set(node, [...made, convolution])
    } else {
      // Without the rank of x, [C,1,1] is the shape that broadcasts over images.
      const ax = emit('Mul', [x, vector(a, 3, 0, 'a.channels')], 'ax')
      emit('Add', [ax, vector(c, 3, 0, 'c.channels')], '')
      replaced.set(node, made)
    }
  }
  return {
    ...graph,
    node: graph.node.flatMap(node => replaced.get(node) ?? [node]),
    initializer: [...graph.initializer, ...added],
  }
}

/** A vector's shape as the given axis of a tensor. */
function channelShape(rank: number, axis: number): BigInt64Array {
  return BigInt64Array.from({ length: rank }, (_, i) => (i === axis ? -1n : 1n))
}
