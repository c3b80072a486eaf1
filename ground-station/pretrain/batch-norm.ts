import {
  floatAttribute,
  makeTensor,
  type NodeProto,
  readOnnx,
  tensorNumbers,
  writeOnnx,
} from '@kestrel/models'

/** The model's bytes with other running statistics, by the names of the initializers that hold them. */
export function withStatistics(bytes: Uint8Array, statistics: Map<string, Float32Array>): Uint8Array {
  const { proto } = readOnnx(bytes, 'the model in training')
  const graph = proto.graph!
  graph.initializer = graph.initializer.map(tensor => {
    const values = statistics.get(tensor.name)
    return values === undefined ? tensor : makeTensor(tensor.name, [values.length], values)
  })
  return writeOnnx(proto)
}

/**
 * Writes each BatchNormalization that follows a convolution into its weight and bias: y = a·(W∗x + b) + c with a = γ/√(σ²+ε) and
 * c = β − a·μ. The model computes the same with fewer operators, and its parameters are fewer. Others stay.
 *
 * @param metadata to be changed in the model
 */
export function foldIntoConvolutions(bytes: Uint8Array, metadata: Record<string, string> = {}): Uint8Array {
  const { proto } = readOnnx(bytes, 'the trained model')
  for (const entry of proto.metadataProps) entry.value = metadata[entry.key] ?? entry.value
  const graph = proto.graph!
  const tensors = new Map(graph.initializer.map(tensor => [tensor.name, tensor]))
  const numbers = (name: string) => Float64Array.from(tensorNumbers(tensors.get(name)!))
  const producers = new Map(graph.node.map(node => [node.output[0], node]))
  const readers = (name: string) => graph.node.filter(({ input }) => input.includes(name)).length
  const folded = new Set<NodeProto>()
  for (const node of graph.node) {
    const convolution = producers.get(node.input[0])
    if (
      node.opType !== 'BatchNormalization' ||
      convolution?.opType !== 'Conv' ||
      readers(node.input[0]) !== 1
    )
      continue
    const [, gamma, beta, mean, variance] = node.input
    const [g, b, mu, v] = [gamma, beta, mean, variance].map(numbers)
    const epsilon = floatAttribute(node, 'epsilon', 1e-5)
    const [, weightName, biasName = ''] = convolution.input
    const weight = tensors.get(weightName)!
    const perChannel = weight.dims.slice(1).reduce((n, dim) => n * Number(dim), 1)
    const a = g.map((value, i) => value / Math.sqrt(v[i] + epsilon))
    const old = biasName === '' ? new Float64Array(a.length) : numbers(biasName)
    const w = Float32Array.from(numbers(weightName), (value, i) => value * a[Math.floor(i / perChannel)])
    const bias = Float32Array.from(a, (scale, i) => b[i] + scale * (old[i] - mu[i]))
    const name = biasName === '' ? `${weightName.replace(/\.weight$/, '')}.bias` : biasName
    tensors.set(weightName, makeTensor(weightName, weight.dims.map(Number), w))
    tensors.set(name, makeTensor(name, [bias.length], bias))
    convolution.input = [convolution.input[0], weightName, name]
    convolution.output = [node.output[0]]
    folded.add(node)
  }
  graph.node = graph.node.filter(node => !folded.has(node))
  const used = new Set(graph.node.flatMap(({ input }) => input))
  graph.initializer = [...tensors.values()].filter(({ name }) => used.has(name))
  return writeOnnx(proto)
}
