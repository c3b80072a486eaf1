import { floatAttribute, intAttribute } from '@kestrel/models'
import { matmul, scale, sumTo } from './algebra.js'
import type { GradientRule } from './rule.js'

/** y = α·A'B' + β·C, where ' transposes or not: dA' = α·dy·B'ᵀ, dB' = α·A'ᵀ·dy, dC = β·dy. */
export const gemm: GradientRule = (node, graph, [dy]) => {
  const [a, b, c] = node.input
  const transA = intAttribute(node, 'transA', 0) === 1
  const transB = intAttribute(node, 'transB', 0) === 1
  const alpha = floatAttribute(node, 'alpha', 1)
  const da = () =>
    transA
      ? matmul(graph, b, dy!, { transA: transB, transB: true })
      : matmul(graph, dy!, b, { transB: !transB })
  const db = () =>
    transB
      ? matmul(graph, dy!, a, { transA: true, transB: transA })
      : matmul(graph, a, dy!, { transA: !transA })
  return [
    graph.wants(a) ? scale(graph, da(), alpha) : undefined,
    graph.wants(b) ? scale(graph, db(), alpha) : undefined,
    graph.wants(c)
      ? scale(graph, sumTo(graph, dy!, graph.shapeOf(c)), floatAttribute(node, 'beta', 1))
      : undefined,
  ]
}
