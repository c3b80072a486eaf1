import { intsAttribute, type NodeProto, stringAttribute } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import type { Emitter } from '../graph/emitter.js'

/** How a window of k elements, s apart, with d between its taps, moves over an axis; `before`/`after` is padding. */
export interface Window {
  k: number
  s: number
  d: number
  before: number
  after: number
  /** Size of the axis that the window moves over, and number of its positions. */
  in: number
  out: number
}

/**
 * The two windows (rows, columns) of a convolution or pooling.
 *
 * @param over shape of what the windows move over: the input; the output for ConvTranspose
 * @param positions shape of what has one element a window position: the output; the input for ConvTranspose
 * @param kernel default of kernel_shape, from the weight
 */
export function windowsOf(
  node: NodeProto,
  graph: Emitter,
  options: { over: string; positions: string; kernel?: number[] },
): [Window, Window] {
  const over = graph.shapeOf(options.over)
  const positions = graph.shapeOf(options.positions)
  if (over.length !== 4) {
    throw new UserError(
      `Node "${node.name}" is a ${node.opType} over ${over.length - 2} axes; training knows images, 2 axes ([N,C,H,W])`,
    )
  }
  const kernel = intsAttribute(node, 'kernel_shape', options.kernel ?? [])
  const strides = intsAttribute(node, 'strides', [1, 1])
  const dilations = intsAttribute(node, 'dilations', [1, 1])
  const pads = intsAttribute(node, 'pads', [0, 0, 0, 0])
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  // Of ConvTranspose only.
  const outputPadding = intsAttribute(node, 'output_padding', [0, 0])
  const given = intsAttribute(node, 'output_shape', [])
  const windows = [0, 1].map(i => {
    const window: Window = {
      k: kernel[i],
      s: strides[i],
      d: dilations[i],
      before: pads[i],
      after: pads[i + 2],
      in: over[i + 2],
      out: positions[i + 2],
    }
    if (auto === 'VALID') return { ...window, before: 0, after: 0 }
    if (auto.startsWith('SAME') || given.length > 0) {
      const total = reach(window) + outputPadding[i] - window.in
      // Where the window is smaller than its stride: pools then crop, convolutions do not.
      const padded = node.opType.endsWith('Pool') ? total : Math.max(0, total)
      window.before = Math.trunc((auto === 'SAME_LOWER' ? padded + 1 : padded) / 2)
      window.after = padded - window.before
    }
    return window
  })
  return windows as [Window, Window]
}

/** Elements from the first tap of the first position to the last tap of the last one. */
export function reach({ k, s, d, out }: Window): number {
  return s * (out - 1) + d * (k - 1) + 1
}

/** The attributes of a Conv or ConvTranspose with such windows. */
export function windowAttributes([rows, columns]: [Window, Window]): Record<string, number[]> {
  return {
    kernel_shape: [rows.k, columns.k],
    strides: [rows.s, columns.s],
    dilations: [rows.d, columns.d],
    pads: [rows.before, columns.before, rows.after, columns.after],
  }
}
