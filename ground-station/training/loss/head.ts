import { add, div, map, matmul, mul, reduceSum, sameDims, sub } from '../gradients/algebra.js'
import type { Emitter } from '../graph/emitter.js'
import { type AxisMap, linearMap } from './interpolation.js'

/**
 * Cross-entropy at label size, and its gradient with respect to the logits.
 *
 * With R the bilinear up-sampling (linear), p a pixel, y_p its label and ω_p = 1/(labelled pixels of the batch), 0 where
 * unlabelled, the loss is
 *
 *     L = Σ_p ω_p·(log Σ_c exp (Rz)_cp − (Rz)_{y_p p}) = Σ_p ω_p·log Σ_c exp (Rz)_cp − ⟨z, Rᵀ(ω·onehot y)⟩
 *
 * and dL/dz = Rᵀ(ω·softmax(Rz)) − Rᵀ(ω·onehot y). The labels come in only through the target Rᵀ(ω·onehot y), [B,C,h,w],
 * which does not depend on the network: it is made outside, in one pass over the labels.
 *
 * @param options.logits z, [B,C,h,w]
 * @param options.target Rᵀ(ω·onehot y), [B,C,h,w]
 * @param options.weight ω, [B,1,labelHeight,labelWidth]
 */
export function lossHead(
  graph: Emitter,
  options: { logits: string; target: string; weight: string; labelHeight: number; labelWidth: number },
): { loss: string; gradient: string } {
  const { logits, target, weight, labelHeight, labelWidth } = options
  const dims = graph.shapeOf(logits)
  const [batch, , h, w] = dims
  graph.declare(target, dims)
  graph.declare(weight, [batch, 1, labelHeight, labelWidth])
  const resized = !sameDims([h, w], [labelHeight, labelWidth])
  const rows = resized ? constant(graph, linearMap(h, labelHeight)) : ''
  const columns = resized ? constant(graph, linearMap(w, labelWidth)) : ''

  const scores = resized ? matmul(graph, rows, matmul(graph, logits, columns, { transB: true })) : logits
  const top = reduceMax(graph, scores)
  const exponentials = map(graph, 'Exp', sub(graph, scores, top))
  const sum = reduceSum(graph, exponentials, [1], true)
  const logSum = add(graph, map(graph, 'Log', sum), top)
  const loss = sub(graph, total(graph, mul(graph, logSum, weight)), total(graph, mul(graph, logits, target)))

  const softmax = mul(graph, exponentials, div(graph, weight, sum))
  const spread = resized ? matmul(graph, matmul(graph, rows, softmax, { transA: true }), columns) : softmax
  return { loss, gradient: sub(graph, spread, target) }
}

function constant(graph: Emitter, { out, in: from, weights }: AxisMap): string {
  return graph.floats([out, from], weights)
}

function total(graph: Emitter, x: string): string {
  return reduceSum(graph, x, [0, 1, 2, 3])
}

/** The maximum over classes, [B,1,H,W]; subtracting it keeps exp from overflowing. */
function reduceMax(graph: Emitter, x: string): string {
  const [batch, , height, width] = graph.shapeOf(x)
  const dims = [batch, 1, height, width]
  // From operator set 18 on the axes are an input.
  if (graph.opset < 18) return graph.emit('ReduceMax', [x], dims, { axes: [1], keepdims: 1 })
  return graph.emit('ReduceMax', [x, graph.ints([1])], dims, { keepdims: 1 })
}
