import { blockedDepthwise, canBlock, fromBlocked, toBlocked } from '../graph/blocked.js'
import type { Emitter } from '../graph/emitter.js'
import { concat, matmul, padZeros, reduceSum, reshape, slice } from './algebra.js'
import { type Convolution, convolve } from './conv-input.js'
import { reach, type Window } from './windows.js'

/**
 * dw of a convolution: dw[o,i,t] = Σ_{n,p} dy[n,o,p]·x[n,i,s·p + d·t − pad].
 *
 * @param x [N,I,H,W]
 * @param dy [N,O,h,w]
 * @returns [O,I/group,k,k]
 */
export function weightGradient(graph: Emitter, x: string, dy: string, convolution: Convolution): string {
  const channels = graph.shapeOf(x)[1]
  if (convolution.group === channels && graph.shapeOf(dy)[1] === channels) {
    return depthwise(graph, x, dy, convolution)
  }
  return byTaps(graph, x, dy, convolution)
}

/**
 * For each tap, x shifted (and thinned out by the stride) times dy: a matrix product over all pixels.
 */
function byTaps(graph: Emitter, x: string, dy: string, { windows, group }: Convolution): string {
  const [n, channels] = graph.shapeOf(x)
  const [, o, h, w] = graph.shapeOf(dy)
  const [rows, columns] = windows
  const i = channels / group
  const padded = padded2d(graph, x, windows)
  const grouped = (value: string, count: number) =>
    reshape(graph, value, group === 1 ? [n, count, h * w] : [n, group, count / group, h * w])
  const left = grouped(dy, o)
  const taps: string[] = []
  for (let a = 0; a < rows.k; a++) {
    for (let b = 0; b < columns.k; b++) {
      const shifted = slice(graph, padded, [2, 3], [a * rows.d, b * columns.d], [h, w], [rows.s, columns.s])
      const product = matmul(graph, left, grouped(shifted, channels), { transB: true })
      taps.push(reshape(graph, reduceSum(graph, product, [0]), [o, i, 1]))
    }
  }
  return reshape(graph, concat(graph, taps, 2), [o, i, rows.k, columns.k])
}

/** Zeros where windows reach beyond x; what no window reaches stays. */
function padded2d(graph: Emitter, x: string, windows: [Window, Window]): string {
  const [rows, columns] = windows.map(window => ({
    before: window.before,
    after: Math.max(0, reach(window) - window.before - window.in),
  }))
  return padZeros(graph, x, [0, 0, rows.before, columns.before], [0, 0, rows.after, columns.after])
}

/**
 * One channel a group: x is convolved with dy as the kernel, each channel of each image on its own. What were the taps of the
 * kernel are the positions now, and stride and dilation change places.
 */
function depthwise(graph: Emitter, x: string, dy: string, { windows }: Convolution): string {
  const swapped = windows.map(window => ({
    k: window.out,
    s: window.d,
    d: window.s,
    before: window.before,
    after: Math.max(0, reach(window) - window.before - window.in),
    in: Math.min(window.in, reach(window) - window.before),
    out: window.k,
  })) as [Window, Window]
  const [n, channels] = graph.shapeOf(x)
  const [rows, columns] = windows
  // Where the last window stops short of the edge, the swapped one would go on: leave out what was never read.
  const read = slice(graph, x, [2, 3], [0, 0], [swapped[0].in, swapped[1].in])
  const blocked = canBlock(graph)
  const [images, kernels] = blocked ? [toBlocked(graph, read), toBlocked(graph, dy)] : [read, dy]
  const each = n * graph.shapeOf(images)[1]
  const flat = reshape(graph, images, [1, each, swapped[0].in, swapped[1].in])
  const kernel = reshape(graph, kernels, [each, 1, rows.out, columns.out])
  const taps = blocked
    ? blockedDepthwise(graph, flat, kernel, swapped)
    : convolve(graph, flat, kernel, { windows: swapped, group: each })
  const split = reshape(graph, taps, [n, each / n, rows.k, columns.k])
  const sum = reduceSum(graph, blocked ? fromBlocked(graph, split, channels) : split, [0])
  return reshape(graph, sum, [channels, 1, rows.k, columns.k])
}
