import type { Rng } from '@kestrel/runtime'
import type { Conditions } from '../conditions.js'

interface Picture {
  width: number
  height: number
  data: Uint8Array
}

/** Random numbers by the million: xorshift32. */
function fast(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** Smears the picture along a vector, pixels; done before anything else of the sensor. */
export function blurMotion({ width, height, data }: Picture, dx: number, dy: number): void {
  const taps = Math.min(9, Math.ceil(Math.hypot(dx, dy)) + 1)
  if (taps < 2) return
  const from = data.slice()
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let [r, g, b] = [0, 0, 0]
      for (let k = 0; k < taps; k++) {
        const share = k / (taps - 1) - 0.5
        const px = Math.min(width - 1, Math.max(0, Math.round(x + share * dx)))
        const py = Math.min(height - 1, Math.max(0, Math.round(y + share * dy)))
        const p = 3 * (py * width + px)
        r += from[p]
        g += from[p + 1]
        b += from[p + 2]
      }
      data[at++] = r / taps
      data[at++] = g / taps
      data[at++] = b / taps
    }
  }
}

/**
 * What the sensor and the air in front of it add: glare, rain, darker corners, noise.
 *
 * @param sun where the sun stands in the picture, pixels; undefined behind the camera
 * @param rng of this frame alone
 */
export function expose(
  picture: Picture,
  conditions: Conditions,
  sun: { x: number; y: number } | undefined,
  rng: Rng,
): void {
  const { width, height, data } = picture
  const { noise, rain, glare, sunElevationDeg } = conditions
  // Little light, much gain, more noise.
  const sigma = 1 + 9 * noise * (sunElevationDeg < 12 ? 1.6 : 1)
  const next = fast(rng.int(2 ** 31))
  const reach = (width * width) / 3
  const veil = 0.15 * rain
  for (let y = 0, at = 0; y < height; y++) {
    const v = (y - height / 2) / width
    for (let x = 0; x < width; x++, at += 3) {
      const u = (x - width / 2) / width
      const corner = 1 - 0.35 * (u * u + v * v)
      let add = 0
      if (glare > 0 && sun !== undefined) {
        const dx = x - sun.x
        const dy = y - sun.y
        add = 190 * glare * (0.25 + Math.exp(-(dx * dx + dy * dy) / reach))
      }
      // The sum of four bytes is near enough to a bell curve.
      const bits = next()
      const bell = ((bits & 255) + ((bits >> 8) & 255) + ((bits >> 16) & 255) + (bits >>> 24) - 510) / 148
      const tint = (((bits >> 5) & 255) - 127) / 128
      for (let c = 0; c < 3; c++) {
        const value =
          data[at + c] * corner * (1 - veil) + 150 * veil + add + sigma * (bell + (c - 1) * 0.6 * tint)
        data[at + c] = value < 0 ? 0 : value > 255 ? 255 : value
      }
    }
  }
  if (rain > 0.02) drawRain(picture, rain, rng)
}

/** Streaks of falling drops, near the camera and blurred. */
function drawRain({ width, height, data }: Picture, rain: number, rng: Rng): void {
  const count = Math.round((rain * width * height) / 900)
  for (let i = 0; i < count; i++) {
    const x0 = rng.int(width)
    const y0 = rng.int(height)
    const length = 5 + rng.int(Math.max(2, height >> 4))
    const lean = 0.15 + 0.1 * rng.float()
    for (let k = 0; k < length; k++) {
      const x = Math.round(x0 + k * lean)
      const y = y0 + k
      if (x >= width || y >= height) break
      const at = 3 * (y * width + x)
      for (let c = 0; c < 3; c++) data[at + c] += (205 - data[at + c]) * 0.22
    }
  }
}
