import type { backend_util, KernelFunc, TensorInfo, TypedArray } from '@tensorflow/tfjs-core'
import type { Tf } from './tensorflow.js'

/** What a kernel of the CPU backend needs of it. */
interface CpuBackend {
  data: { get(id: object): { values: TypedArray } }
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): TensorInfo
}

interface FilterAttributes {
  strides: [number, number]
  pad: 'valid' | 'same' | number
  filterShape: [number, number, number, number]
}

/** Adds one tap of one position to the filter's gradient `dw`; the numbers say where its channels begin in x, dy and dw. */
type Tap = (
  info: backend_util.Conv2DInfo,
  arrays: { x: TypedArray; dy: TypedArray; dw: Float64Array },
  at: { x: number; dy: number; dw: number },
) => void

/**
 * Replaces the two kernels of the CPU backend that compute gradients of convolution filters. Its own ones fetch every number
 * through `TensorBuffer.get` with four indices, 50 times slower than all else in a training step; these walk typed arrays. NHWC only.
 */
export function registerFilterGradients(tf: Tf): void {
  replace(tf, tf.Conv2DBackpropFilter, false, (info, { x, dy, dw }, at) => {
    const { inChannels, outChannels } = info
    for (let i = 0, w = at.dw; i < inChannels; i++) {
      const value = x[at.x + i]
      for (let o = 0; o < outChannels; o++) dw[w++] += value * dy[at.dy + o]
    }
  })
  replace(tf, tf.DepthwiseConv2dNativeBackpropFilter, true, (info, { x, dy, dw }, at) => {
    const { inChannels, outChannels } = info
    const multiplier = outChannels / inChannels
    for (let o = 0; o < outChannels; o++)
      dw[at.dw + o] += x[at.x + Math.floor(o / multiplier)] * dy[at.dy + o]
  })
}

function replace(tf: Tf, kernelName: string, depthwise: boolean, tap: Tap): void {
  const kernelFunc: KernelFunc = ({ inputs, attrs, backend }) => {
    const { data, makeTensorInfo } = backend as CpuBackend
    const { strides, pad, filterShape } = attrs as unknown as FilterAttributes
    const shape = inputs.x!.shape as [number, number, number, number]
    const info = tf.backend_util.computeConv2DInfo(shape, filterShape, strides, 1, pad, undefined, depthwise)
    const dw = new Float64Array(filterShape.reduce((a, b) => a * b))
    const arrays = { x: data.get(inputs.x!.dataId).values, dy: data.get(inputs.dy!.dataId).values, dw }
    overTaps(info, dw.length / (info.filterHeight * info.filterWidth), at => tap(info, arrays, at))
    return makeTensorInfo.call(backend, filterShape, 'float32', Float32Array.from(dw))
  }
  tf.unregisterKernel(kernelName, 'cpu')
  tf.registerKernel({ kernelName, backendName: 'cpu', kernelFunc })
}

/** Visits every tap that lies inside the image, of every position of the filter. */
function overTaps(
  info: backend_util.Conv2DInfo,
  tapSize: number,
  visit: (at: { x: number; dy: number; dw: number }) => void,
): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels } = info
  const { filterHeight, filterWidth, strideHeight, strideWidth } = info
  const { top, left } = info.padInfo
  const at = { x: 0, dy: 0, dw: 0 }
  for (let n = 0; n < batchSize; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        at.dy = ((n * outHeight + oy) * outWidth + ox) * outChannels
        for (let ky = 0; ky < filterHeight; ky++) {
          const y = oy * strideHeight + ky - top
          if (y < 0 || y >= inHeight) continue
          for (let kx = 0; kx < filterWidth; kx++) {
            const x = ox * strideWidth + kx - left
            if (x < 0 || x >= inWidth) continue
            at.x = ((n * inHeight + y) * inWidth + x) * inChannels
            at.dw = (ky * filterWidth + kx) * tapSize
            visit(at)
          }
        }
      }
    }
  }
}
