import { floatAttribute, type NodeProto } from '@kestrel/models'
import type { Emitter } from '../graph/emitter.js'
import { add, mul, reduceSum, reshape, scale, size, sub } from './algebra.js'
import type { GradientRule } from './rule.js'

/**
 * BatchNormalization with the statistics of the batch; frozen ones never come here (graph/fold-batch-norm.ts).
 *
 * x̂ = (x − μ)/√(σ²+ε), y = γ·x̂ + β, with μ and σ² the mean and (population) variance over batch and pixels, n of them a channel:
 * dγ = Σ dy·x̂, dβ = Σ dy, dx = γ/√(σ²+ε) · (dy − (dβ + x̂·dγ)/n).
 */
export const batchNormalization: GradientRule = (node, graph, [dy]) => {
  const [x, gamma] = node.input
  const dims = graph.shapeOf(x)
  const { axes, channels, normalised, inverse } = parts(node, graph)
  const dGamma = reduceSum(graph, mul(graph, dy!, normalised), axes, true)
  const dBeta = reduceSum(graph, dy!, axes, true)
  let dx: string | undefined
  if (graph.wants(x)) {
    const n = size(dims) / dims[1]
    const common = scale(graph, add(graph, dBeta, mul(graph, normalised, dGamma)), 1 / n)
    const factor = mul(graph, reshape(graph, gamma, channels), inverse)
    dx = mul(graph, sub(graph, dy!, common), factor)
  }
  return [dx, reshape(graph, dGamma, [dims[1]]), reshape(graph, dBeta, [dims[1]])]
}

export function batchNormalizationForward(node: NodeProto, graph: Emitter): void {
  const [, gamma, beta] = node.input
  const { channels, normalised } = parts(node, graph)
  const scaled = mul(graph, normalised, reshape(graph, gamma, channels))
  graph.rename(add(graph, scaled, reshape(graph, beta, channels)), node.output[0])
}

/** μ and σ² by the names of the initializers that hold the running ones. */
export function batchStatistics(node: NodeProto, graph: Emitter): [string, string][] {
  const { mean, variance } = parts(node, graph)
  const channels = graph.shapeOf(node.input[0])[1]
  return [
    [node.input[3], reshape(graph, mean, [channels])],
    [node.input[4], reshape(graph, variance, [channels])],
  ]
}

/** What forward and backward share; written once. */
function parts(node: NodeProto, graph: Emitter) {
  const [x] = node.input
  const dims = graph.shapeOf(x)
  const axes = dims.map((_, i) => i).filter(i => i !== 1)
  const channels = dims.map((dim, i) => (i === 1 ? dim : 1))
  const share = channels[1] / size(dims)
  const part = (name: string, make: () => string) => graph.once(`${name} of ${node.output[0]}`, make)
  const mean = part('mean', () => scale(graph, reduceSum(graph, x, axes, true), share))
  const centred = part('centred', () => sub(graph, x, mean))
  const variance = part('variance', () =>
    scale(graph, reduceSum(graph, mul(graph, centred, centred), axes, true), share),
  )
  const inverse = part('inverse', () => {
    const safe = add(graph, variance, graph.scalar(floatAttribute(node, 'epsilon', 1e-5)))
    return graph.emit('Reciprocal', [graph.emit('Sqrt', [safe], channels)], channels)
  })
  const normalised = part('normalised', () => mul(graph, centred, inverse))
  return { axes, channels, mean, variance, inverse, normalised }
}
