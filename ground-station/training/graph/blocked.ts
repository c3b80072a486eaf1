import type { NodeProto } from '@kestrel/models'
import { padZeros, reshape, transpose } from '../gradients/algebra.js'
import { type Window, windowAttributes } from '../gradients/windows.js'
import type { Emitter } from './emitter.js'

/**
 * ONNX Runtime's blocked CPU layout (NCHWc): channels in blocks of 8 or 16, whose values lie side by side,
 * [N,C/block,H,W,block]. Depthwise convolutions read and write whole vectors there and run up to ten times as fast as in NCHW.
 * ONNX Runtime itself uses it only where weights are constants; in training they are not, so the training graph does what its
 * optimiser would do. Shapes are told as [N,C,H,W] with C rounded up to whole blocks; the rest is zeros.
 */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc'

/** Whether that layout exists here. */
export function canBlock(graph: Emitter): boolean {
  return graph.dialect.block > 1
}

/** [N,C,H,W] → the same, blocked. Made once for each value. */
export function toBlocked(graph: Emitter, x: string): string {
  return graph.once(`blocked ${x}`, () => {
    const channels = graph.shapeOf(x)[1]
    // The reordering itself fills up blocks, but only from multiples of 4 channels.
    const whole = padZeros(graph, x, [0, 0, 0, 0], [0, (4 - (channels % 4)) % 4, 0, 0])
    const [n, , h, w] = graph.shapeOf(whole)
    return graph.emit('ReorderInput', [whole], [n, toBlock(graph, channels), h, w], {}, BLOCKED_DOMAIN)
  })
}

/** Back to [N,channels,H,W]. */
export function fromBlocked(graph: Emitter, x: string, channels: number): string {
  const [n, , h, w] = graph.shapeOf(x)
  return graph.emit('ReorderOutput', [x], [n, channels, h, w], { channels }, BLOCKED_DOMAIN)
}

/** Kernels of a depthwise convolution, [C,1,k,k] → blocked. */
export function blockedKernel(graph: Emitter, w: string): string {
  const [channels, , kh, kw] = graph.shapeOf(w)
  const { block } = graph.dialect
  const whole = toBlock(graph, channels)
  const flat = reshape(graph, w, [channels, kh * kw])
  const filled = padZeros(graph, flat, [0, 0], [whole - channels, 0])
  const blocks = reshape(graph, filled, [whole / block, block, kh * kw])
  return reshape(graph, transpose(graph, blocks, [0, 2, 1]), [whole, 1, kh, kw])
}

/** A depthwise convolution of blocked values. @param kernel [C,1,k,k], blocked @param bias [C] */
export function blockedDepthwise(
  graph: Emitter,
  x: string,
  kernel: string,
  windows: [Window, Window],
  bias?: string,
): string {
  const [n, channels] = graph.shapeOf(x)
  const inputs = bias === undefined ? [x, kernel] : [x, kernel, bias]
  const dims = [n, channels, windows[0].out, windows[1].out]
  return graph.emit('Conv', inputs, dims, { ...windowAttributes(windows), group: channels }, BLOCKED_DOMAIN)
}

/** A strided depthwise Conv node of the student, written in the blocked layout. */
export function blockedForward(graph: Emitter, node: NodeProto, windows: [Window, Window]): void {
  const [x, w, b] = node.input
  const channels = graph.shapeOf(x)[1]
  const bias = b ? padZeros(graph, b, [0], [toBlock(graph, channels) - channels]) : undefined
  const y = blockedDepthwise(graph, toBlocked(graph, x), blockedKernel(graph, w), windows, bias)
  graph.rename(fromBlocked(graph, y, channels), node.output[0])
}

/** Zeros between the rows and columns of a blocked value, so that strides of a convolution become 1: [N,C,s·h,s·w]. */
export function blockedSpread(graph: Emitter, x: string, rows: number, columns: number): string {
  const [n, channels, h, w] = graph.shapeOf(x)
  const { block } = graph.dialect
  const cells = reshape(graph, x, [(n * channels) / block, h, 1, w, block])
  const spread = padZeros(graph, cells, [0, 0, 0, 0, 0], [0, 0, rows - 1, 0, (columns - 1) * block])
  return reshape(graph, spread, [n, channels, h * rows, w * columns])
}

export function toBlock(graph: Emitter, channels: number): number {
  const { block } = graph.dialect
  return Math.ceil(channels / block) * block
}
