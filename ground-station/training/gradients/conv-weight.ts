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
    return depthwiseWeightGradient(graph, x, dy, convolution)
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

/** One input channel a group: x is convolved with dy as the kernel, each channel of each image on its own. */
function depthwiseWeightGradient(graph: Emitter, x: string, dy: string, { windows }: Convolution): string {
  const [n, channels, height, width] = graph.shapeOf(x)
  const [, , h, w] = graph.shapeOf(dy)
  const swapped = windows.map(window => ({
    k: window.out,
    s: window.d,
    d: window.s,
    before: window.before,
    after: Math.max(0, reach(window) - window.before - window.in),
    in: window.in,
    out: window.k,
  })) as [Window, Window]
  // Where the last window stops short of the edge, the swapped one would go on: leave out what is never read.
  const read = windows.map((window, i) => Math.min([height, width][i], reach(window) - window.before))
  const images = slice(graph, x, [2, 3], [0, 0], read)
  const flat = reshape(graph, images, [1, n * channels, read[0], read[1]])
  const kernel = reshape(graph, dy, [n * channels, 1, h, w])
  const taps = convolve(graph, flat, kernel, { windows: swapped, group: n * channels })
  const [rows, columns] = windows
  const split = reshape(graph, taps, [n, channels, rows.k, columns.k])
  return reshape(graph, reduceSum(graph, split, [0]), [channels, 1, rows.k, columns.k])
}
