import type { LabelMap } from '@kestrel/models'
import type { FlowField } from './flow.js'

/**
 * Remembers, for every pixel of the current frame, where it was in a key frame, by chaining the flow from each frame to
 * the one before: short steps that optical flow can follow, as a device would do it frame by frame.
 */
export class FlowChain {
  readonly #width: number
  readonly #height: number
  /** (x, y) in the key frame, pixel centres at whole numbers, in pixels of the flow's size. */
  #position: Float32Array

  /** A chain that starts at the current frame, which is its key frame. */
  constructor(width: number, height: number) {
    this.#width = width
    this.#height = height
    this.#position = new Float32Array(2 * width * height)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) this.#position.set([x, y], 2 * (y * width + x))
    }
  }

  /** @param flow from the new current frame to the one before it */
  advance(flow: FlowField): void {
    const [width, height, position] = [this.#width, this.#height, this.#position]
    const next = new Float32Array(position.length)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const i = 2 * (y * width + x)
        const px = clamp(x + flow.data[i], width - 1)
        const py = clamp(y + flow.data[i + 1], height - 1)
        sampleBilinear(position, width, height, px, py, next, i)
      }
    }
    this.#position = next
  }

  /** Labels of the key frame moved to where their pixels are now: nearest label, positions interpolated bilinearly. */
  warp(labels: LabelMap): LabelMap {
    const { width, height, data } = labels
    const [scaleX, scaleY] = [this.#width / width, this.#height / height]
    const out = new Uint8Array(width * height)
    const at = new Float32Array(2)
    for (let y = 0; y < height; y++) {
      const fy = clamp((y + 0.5) * scaleY - 0.5, this.#height - 1)
      for (let x = 0; x < width; x++) {
        const fx = clamp((x + 0.5) * scaleX - 0.5, this.#width - 1)
        sampleBilinear(this.#position, this.#width, this.#height, fx, fy, at, 0)
        // The displacement is scaled, not the position, so that a still picture comes back unchanged.
        const sx = clamp(Math.round(x + (at[0] - fx) / scaleX), width - 1)
        const sy = clamp(Math.round(y + (at[1] - fy) / scaleY), height - 1)
        out[y * width + x] = data[sy * width + sx]
      }
    }
    return { width, height, data: out }
  }
}

/** Writes the pair of `field` at (x, y), which lies inside, to `out` at `index`. */
function sampleBilinear(
  field: Float32Array,
  width: number,
  height: number,
  x: number,
  y: number,
  out: Float32Array,
  index: number,
): void {
  const x0 = Math.floor(x)
  const y0 = Math.floor(y)
  const x1 = Math.min(x0 + 1, width - 1)
  const y1 = Math.min(y0 + 1, height - 1)
  const [ax, ay] = [x - x0, y - y0]
  for (let c = 0; c < 2; c++) {
    const top = field[2 * (y0 * width + x0) + c] * (1 - ax) + field[2 * (y0 * width + x1) + c] * ax
    const bottom = field[2 * (y1 * width + x0) + c] * (1 - ax) + field[2 * (y1 * width + x1) + c] * ax
    out[index + c] = top * (1 - ay) + bottom * ay
  }
}

function clamp(value: number, max: number): number {
  return Math.max(0, Math.min(value, max))
}
