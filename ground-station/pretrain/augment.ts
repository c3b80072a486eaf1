import { IGNORE } from '@kestrel/models'
import type { Rng } from '@kestrel/runtime'
import type { Example } from './examples.js'

export interface AugmentOptions {
  /** Smallest cut-out, share of the picture. */
  minScale: number
  /** Largest cut-out, likewise. */
  maxScale: number
  /** Strength of changes of light and colour, 0..1. */
  colour: number
  /** Most noise, grey levels. */
  noise: number
  /** Half of the pictures are turned upside down, as only what was taken straight down may be. */
  upsideDown?: boolean
}

/**
 * A cut-out of an example at the input's size, perhaps mirrored and upside down, in other light. The labels take the same way as the picture, by the
 * nearest pixel.
 *
 * @param out.images planar RGB [3,H,W], written from `out.imageAt` on
 * @param out.labels [H,W], written from `out.labelAt` on
 */
export function augment(
  { image, labels }: Example,
  options: AugmentOptions,
  rng: Rng,
  out: {
    width: number
    height: number
    images: Uint8Array
    imageAt: number
    labels: Uint8Array
    labelAt: number
  },
): void {
  const { width, height } = out
  const scale = options.minScale + Math.max(0, options.maxScale - options.minScale) * rng.float()
  const [cutW, cutH] = [image.width * scale, image.height * scale]
  const left = (image.width - cutW) * rng.float()
  const top = (image.height - cutH) * rng.float()
  const mirrored = rng.float() < 0.5
  const upsideDown = options.upsideDown === true && rng.float() < 0.5
  const curves = [0, 1, 2].map(() => new Uint8Array(256))
  drawCurves(curves, options.colour, rng)
  const sigma = options.noise * rng.float() ** 2
  let state = rng.int(2 ** 31) | 1
  const plane = width * height
  for (let y = 0, at = 0; y < height; y++) {
    const oy = upsideDown ? height - 1 - y : y
    const sy = top + ((oy + 0.5) * cutH) / height - 0.5
    const y0 = Math.max(0, Math.min(image.height - 1, Math.floor(sy)))
    const y1 = Math.min(image.height - 1, y0 + 1)
    const fy = Math.max(0, sy - y0)
    const ly = Math.max(0, Math.min(labels.height - 1, Math.round(sy)))
    for (let x = 0; x < width; x++, at++) {
      const ox = mirrored ? width - 1 - x : x
      const sx = left + ((ox + 0.5) * cutW) / width - 0.5
      const x0 = Math.max(0, Math.min(image.width - 1, Math.floor(sx)))
      const x1 = Math.min(image.width - 1, x0 + 1)
      const fx = Math.max(0, sx - x0)
      const [a, b] = [3 * (y0 * image.width + x0), 3 * (y0 * image.width + x1)]
      const [c, d] = [3 * (y1 * image.width + x0), 3 * (y1 * image.width + x1)]
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      const grain = sigma === 0 ? 0 : (sigma * (((state >>> 8) & 1023) - 511.5)) / 296
      for (let k = 0; k < 3; k++) {
        const upper = image.data[a + k] * (1 - fx) + image.data[b + k] * fx
        const lower = image.data[c + k] * (1 - fx) + image.data[d + k] * fx
        const value = curves[k][Math.round(upper * (1 - fy) + lower * fy)] + grain
        out.images[out.imageAt + k * plane + at] = value < 0 ? 0 : value > 255 ? 255 : value
      }
      const lx = Math.max(0, Math.min(labels.width - 1, Math.round(sx)))
      out.labels[out.labelAt + at] = labels.data[ly * labels.width + lx] ?? IGNORE
    }
  }
}

/** Brightness, contrast and gamma for all, a tint for each channel. */
function drawCurves(curves: Uint8Array[], strength: number, rng: Rng): void {
  const spread = (range: number) => 1 + strength * range * (2 * rng.float() - 1)
  const gamma = spread(0.5)
  const contrast = spread(0.4)
  const brightness = 50 * strength * (2 * rng.float() - 1)
  for (const curve of curves) {
    const tint = spread(0.25)
    for (let i = 0; i < 256; i++) {
      const value = (255 * (i / 255) ** gamma - 128) * contrast + 128 + brightness
      curve[i] = Math.max(0, Math.min(255, Math.round(value * tint)))
    }
  }
}
