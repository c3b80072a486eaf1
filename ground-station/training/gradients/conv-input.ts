import {
  blockedDepthwise,
  blockedKernel,
  blockedSpread,
  canBlock,
  fromBlocked,
  toBlocked,
} from '../graph/blocked.js'
import type { Emitter } from '../graph/emitter.js'
import { matmul, reshape, transpose } from './algebra.js'
import { reach, type Window, windowAttributes } from './windows.js'

export interface Convolution {
  windows: [Window, Window]
  group: number
}

/** A convolution without bias. @param w [O,I/group,k,k] */
export function convolve(graph: Emitter, x: string, w: string, { windows, group }: Convolution): string {
  const [batch] = graph.shapeOf(x)
  const dims = [batch, graph.shapeOf(w)[0], windows[0].out, windows[1].out]
  return graph.emit('Conv', [x, w], dims, { ...windowAttributes(windows), group })
}

/**
 * dx of a convolution. With stride 1 it is a convolution again, of dy with the kernel turned round and its channels
 * exchanged, which ONNX Runtime does much faster than ConvTranspose.
 *
 * @param dy [N,O,h,w]
 * @param w [O,I/group,k,k]
 * @returns [N,I,H,W]
 */
export function inputGradient(graph: Emitter, dy: string, w: string, convolution: Convolution): string {
  const { windows, group } = convolution
  if (group === 1 && isPointwise(windows)) return pointwise(graph, dy, w)
  const simple = turnedWindows(windows)
  if (windows.every(({ s }) => s === 1) && fits(simple)) {
    return convolve(graph, dy, turnedKernel(graph, w, group), { windows: simple, group })
  }
  const spread = turnedWindows(windows.map(spreadWindow) as [Window, Window])
  const [outputs, perGroup] = graph.shapeOf(w)
  if (canBlock(graph) && perGroup === 1 && outputs === group && fits(spread)) {
    const kernel = blockedKernel(graph, turnedKernel(graph, w, group))
    const zeros = blockedSpread(graph, toBlocked(graph, dy), windows[0].s, windows[1].s)
    return fromBlocked(graph, blockedDepthwise(graph, zeros, kernel, spread), group)
  }
  return transposed(graph, dy, w, convolution)
}

function isPointwise(windows: [Window, Window]): boolean {
  return windows.every(({ k, s, before, after }) => k === 1 && s === 1 && before === 0 && after === 0)
}

/** A 1×1 convolution is a matrix product over pixels, and so is its adjoint: dx = wᵀ·dy. */
function pointwise(graph: Emitter, dy: string, w: string): string {
  const [n, o, height, width] = graph.shapeOf(dy)
  const i = graph.shapeOf(w)[1]
  const matrix = reshape(graph, w, [o, i])
  const dx = matmul(graph, matrix, reshape(graph, dy, [n, o, height * width]), { transA: true })
  return reshape(graph, dx, [n, i, height, width])
}

/** The windows with which dy, at stride 1, is convolved to give dx. */
function turnedWindows(windows: [Window, Window]): [Window, Window] {
  return windows.map(window => ({
    ...window,
    s: 1,
    before: window.d * (window.k - 1) - window.before,
    after: window.in + window.before - window.out,
    in: window.out,
    out: window.in,
  })) as [Window, Window]
}

/** The window as it would be over an output with zeros between its positions (blockedSpread): stride 1. */
function spreadWindow(window: Window): Window {
  return { ...window, s: 1, out: window.s * window.out }
}

function fits(windows: [Window, Window]): boolean {
  return windows.every(({ before, after }) => before >= 0 && after >= 0)
}

/** ConvTranspose to exactly the input's size: what the last window does not reach gets zeros. */
function transposed(graph: Emitter, dy: string, w: string, { windows, group }: Convolution): string {
  const [batch] = graph.shapeOf(dy)
  const dims = [batch, group * graph.shapeOf(w)[1], windows[0].in, windows[1].in]
  const fitted = windows.map(window => {
    const rest = window.in + window.before - reach(window)
    return { ...window, after: Math.max(0, -rest), rest: Math.max(0, rest) }
  }) as [Window & { rest: number }, Window & { rest: number }]
  const output_padding = fitted.map(({ rest }) => rest)
  return graph.emit('ConvTranspose', [dy, w], dims, { ...windowAttributes(fitted), output_padding, group })
}

/** [O,I/group,k,k] → [I,O/group,k,k], each kernel turned by 180°. */
function turnedKernel(graph: Emitter, w: string, group: number): string {
  return graph.once(`turned ${w} ${group}`, () => {
    const [o, i, kh, kw] = graph.shapeOf(w)
    const taps = kh * kw
    let kernel = w
    if (i > 1 || o > group) {
      const grouped = reshape(graph, w, [group, o / group, i, taps])
      kernel = transpose(graph, grouped, [0, 2, 1, 3])
    }
    kernel = reshape(graph, kernel, [group * i, o / group, taps])
    if (taps > 1) {
      const order = graph.ints(Array.from({ length: taps }, (_, t) => taps - 1 - t))
      kernel = graph.emit('Gather', [kernel, order], [group * i, o / group, taps], { axis: 2 })
    }
    return reshape(graph, kernel, [group * i, o / group, kh, kw])
  })
}
