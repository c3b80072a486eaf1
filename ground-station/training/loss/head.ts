import { div, map, matmul, mul, reduceSum, reshape, sameDims, sub } from '../gradients/algebra.js'
import type { Emitter } from '../graph/emitter.js'
import { type AxisMap, linearMap } from './interpolation.js'

/**
 * Least score that is up-sampled. After the shift the best class of each logits pixel scores 0. Between pixels with different
 * best classes, one of them has at least a quarter of the weight on its 0, so that above this floor exp never loses the best of
 * all classes (0.75 · −110 > −87). A class that is further behind has a probability of less than e^−110, which no network
 * states but one that has come apart; its loss is then too small or too large by a fraction, and finite.
 */
const FLOOR = -110

/**
 * Cross-entropy at label size, and its gradient with respect to the logits.
 *
 * With R the bilinear up-sampling (linear), p a pixel, y_p its label and ω_p = 1/(labelled pixels of the batch) or as the classes
 * are weighted (loss/targets.ts), 0 where unlabelled, the loss is
 *
 *     L = Σ_p ω_p·(log Σ_c exp (Rz)_cp − (Rz)_{y_p p}) = Σ_p ω_p·log Σ_c exp (Rz)_cp − ⟨z, Rᵀ(ω·onehot y)⟩
 *
 * and dL/dz = Rᵀ(ω·softmax(Rz)) − Rᵀ(ω·onehot y). The labels come in only through the target Rᵀ(ω·onehot y), [B,C,h,w],
 * which does not depend on the network: it is made outside, in one pass over the labels.
 *
 * Both are left as they are by a shift of all classes of a pixel of z, so the maximum over classes is taken off *before*
 * up-sampling: that keeps exp from overflowing at a fraction of the cost.
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

  const shifted = sub(graph, logits, reduceMax(graph, logits))
  const bounded = resized ? graph.emit('Max', [shifted, graph.scalar(FLOOR)], dims) : shifted
  const scores = resized ? matmul(graph, rows, matmul(graph, bounded, columns, { transB: true })) : bounded
  const exponentials = map(graph, 'Exp', scores)
  const sum = sumOverClasses(graph, exponentials)
  const loss = sub(
    graph,
    total(graph, mul(graph, map(graph, 'Log', sum), weight)),
    total(graph, mul(graph, shifted, target)),
  )

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

/** Σ over classes, [B,1,H,W], as a matrix product with ones: several times as fast as ReduceSum over that axis. */
function sumOverClasses(graph: Emitter, x: string): string {
  const [batch, classes, height, width] = graph.shapeOf(x)
  const ones = graph.floats([1, classes], new Float32Array(classes).fill(1))
  const flat = reshape(graph, x, [batch, classes, height * width])
  return reshape(graph, matmul(graph, ones, flat), [batch, 1, height, width])
}

/** The maximum over classes, [B,1,h,w]. */
function reduceMax(graph: Emitter, x: string): string {
  const [batch, , height, width] = graph.shapeOf(x)
  const dims = [batch, 1, height, width]
  // From operator set 18 on the axes are an input.
  if (graph.opset < 18) return graph.emit('ReduceMax', [x], dims, { axes: [1], keepdims: 1 })
  return graph.emit('ReduceMax', [x, graph.ints([1])], dims, { keepdims: 1 })
}
