import type { RgbImage } from '@kestrel/models'

/** Where each pixel was in another picture: (dx, dy) per pixel, row-major, in pixels of this size. */
export interface FlowField {
  width: number
  height: number
  data: Float32Array
}

/** Brightness per pixel, row-major. */
export interface GreyImage {
  width: number
  height: number
  data: Uint8Array
}

/** What Kestrel uses of OpenCV. The module object is a thenable that resolves to itself, so it must never be awaited. */
type OpenCv = typeof import('@techstark/opencv-js')

/** Brightness of a picture (ITU-R BT.601 weights, as OpenCV's own conversion). */
export function toGrey(image: RgbImage): GreyImage {
  const { width, height, data } = image
  const grey = new Uint8Array(width * height)
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (299 * data[3 * i] + 587 * data[3 * i + 1] + 114 * data[3 * i + 2] + 500) / 1000
  }
  return { width, height, data: grey }
}

/** Dense optical flow after Farnebäck (2003), by OpenCV compiled to WebAssembly. */
export class FarnebackFlow {
  readonly #cv: OpenCv

  private constructor(cv: OpenCv) {
    this.#cv = cv
  }

  static async create(): Promise<FarnebackFlow> {
    const events = ['uncaughtException', 'unhandledRejection']
    const before = events.map(event => process.listeners(event as 'exit'))
    const module = await import('@techstark/opencv-js')
    const cv = ((module as { default?: unknown }).default ?? module) as OpenCv & {
      onRuntimeInitialized?: () => void
    }
    if (cv.Mat === undefined) {
      await new Promise<void>(resolve => {
        cv.onRuntimeInitialized = resolve
      })
    }
    // The library installs process-wide handlers that turn every error into an abort of its own; ours stay ours.
    events.forEach((event, i) => {
      for (const listener of process.listeners(event as 'exit')) {
        if (!before[i].includes(listener)) process.removeListener(event, listener)
      }
    })
    return new FarnebackFlow(cv)
  }

  /** Flow d such that `from(x) ≈ to(x + d(x))`; both pictures of one size. */
  between(from: GreyImage, to: GreyImage): FlowField {
    const cv = this.#cv
    const { width, height } = from
    const a = new cv.Mat(height, width, cv.CV_8UC1)
    const b = new cv.Mat(height, width, cv.CV_8UC1)
    const flow = new cv.Mat()
    try {
      a.data.set(from.data)
      b.data.set(to.data)
      // Pyramid scale 0.5 with 5 levels (motion up to a quarter of the picture), window 15, 3 iterations, neighbourhood 5
      // with σ 1.1: OpenCV's own example values, two pyramid levels more.
      cv.calcOpticalFlowFarneback(a, b, flow, 0.5, 5, 15, 3, 5, 1.1, 0)
      return { width, height, data: new Float32Array(flow.data32F) }
    } finally {
      for (const mat of [a, b, flow]) mat.delete()
    }
  }
}
