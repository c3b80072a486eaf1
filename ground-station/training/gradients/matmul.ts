import { matmul as product, reshape, sumTo } from './algebra.js'
import type { GradientRule } from './rule.js'

/**
 * y = A·B over the last two axes, the leading ones broadcast: dA = dy·Bᵀ, dB = Aᵀ·dy, summed where they were broadcast. A vector
 * on the left is a row, one on the right a column.
 */
export const matmul: GradientRule = ({ input: [a, b] }, graph, [dy]) => {
  const aDims = graph.shapeOf(a)
  const bDims = graph.shapeOf(b)
  const rows = aDims.length === 1 ? [1, ...aDims] : aDims
  const columns = bDims.length === 1 ? [...bDims, 1] : bDims
  let lead = graph.shapeOf(dy!)
  if (aDims.length === 1) lead = bDims.length === 1 ? [1] : lead.toSpliced(-1, 0, 1)
  if (bDims.length === 1) lead = [...lead, 1]
  const gradient = reshape(graph, dy!, lead)
  const left = () => product(graph, gradient, reshape(graph, b, columns), { transB: true })
  const right = () => product(graph, reshape(graph, a, rows), gradient, { transA: true })
  return [
    graph.wants(a) ? reshape(graph, sumTo(graph, left(), rows), aDims) : undefined,
    graph.wants(b) ? reshape(graph, sumTo(graph, right(), columns), bDims) : undefined,
  ]
}
