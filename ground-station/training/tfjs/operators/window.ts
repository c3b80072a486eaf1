import { intAttribute, intsAttribute, type NodeProto, stringAttribute } from '@kestrel/models'

/** How a window moves over one axis of an image. */
export interface Window {
  kernel: number
  stride: number
  dilation: number
  /** Padding before and after, as given or as auto_pad asks; negative crops. */
  pads: [number, number]
}

/**
 * The windows of a convolution or pooling, over rows and over columns.
 *
 * @param kernel default of kernel_shape, from the weight
 * @param options.size of the image, for auto_pad; ConvTranspose, where it means something else, gives none
 * @param options.crop whether auto_pad crops where the strides leave out more than the kernel covers. ONNX Runtime, whose
 *   word counts in flight, does so for pooling but not for convolutions
 */
export function windows(
  node: NodeProto,
  kernel: number[],
  options: { size?: number[]; crop?: boolean } = {},
): [Window, Window] {
  const { size, crop = false } = options
  const kernels = intsAttribute(node, 'kernel_shape', kernel)
  if (kernels.length !== 2)
    throw new Error(`it has ${kernels.length} axes besides batch and channels; images have 2`)
  const strides = intsAttribute(node, 'strides', [1, 1])
  const dilations = intsAttribute(node, 'dilations', [1, 1])
  const pads = intsAttribute(node, 'pads', [0, 0, 0, 0])
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  const over = (i: 0 | 1): Window => {
    const window: Window = {
      kernel: kernels[i],
      stride: strides[i],
      dilation: dilations[i],
      pads: [pads[i], pads[i + 2]],
    }
    if (auto === 'VALID') return { ...window, pads: [0, 0] }
    if (!auto.startsWith('SAME') || size === undefined) return window
    const positions = Math.ceil(size[i] / window.stride)
    const needed = (positions - 1) * window.stride + reach(window) - size[i]
    const total = crop ? needed : Math.max(0, needed)
    const before = Math.trunc((auto === 'SAME_LOWER' ? total + 1 : total) / 2)
    return { ...window, pads: [before, total - before] }
  }
  return [over(0), over(1)]
}

/** Elements from a window's first tap to its last. */
export function reach({ kernel, dilation }: Window): number {
  return (kernel - 1) * dilation + 1
}

/**
 * Positions that a pooling window takes on an axis (ceil_mode rounds up, but the last position has to begin inside the image or
 * the padding before it), and the elements that it then touches beyond the padding.
 */
export function positions(node: NodeProto, window: Window, size: number): { count: number; beyond: number } {
  const padded = size + window.pads[0] + window.pads[1]
  const steps = (padded - reach(window)) / window.stride
  let count = Math.floor(steps) + 1
  if (intAttribute(node, 'ceil_mode', 0) === 1 && stringAttribute(node, 'auto_pad', 'NOTSET') === 'NOTSET') {
    count = Math.ceil(steps) + 1
    if ((count - 1) * window.stride >= size + window.pads[0]) count--
  }
  return { count, beyond: Math.max(0, (count - 1) * window.stride + reach(window) - padded) }
}
