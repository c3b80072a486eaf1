import type { VehicleState } from '../vehicle-state.js'
import type { Panorama, View } from './panorama.js'

export interface LensOptions {
  width: number
  height: number
  /** Horizontal field of view, degrees. */
  hfovDeg: number
  /** Barrel distortion, 0: none. */
  distortion: number
}

/** Where the camera looks: yaw clockwise from north, pitch up, roll right side down; radians. */
export interface Attitude {
  yaw: number
  pitch: number
  roll: number
}

type Vector = [number, number, number]

/** How much of the vehicle's own roll and pitch the gimbal lets through. */
const GIMBAL_LEAK = 0.12

/** A gimbal that follows the vehicle's heading, keeps its pitch and nearly keeps the horizon level. */
export function gimbalAttitude({ attitude }: VehicleState, gimbalPitch: number): Attitude {
  return {
    yaw: attitude.yaw,
    pitch: gimbalPitch + GIMBAL_LEAK * attitude.pitch,
    roll: GIMBAL_LEAK * attitude.roll,
  }
}

/** The camera's axes in the world (east, north, up): forward, right and down. */
export function axes({ yaw, pitch, roll }: Attitude): { forward: Vector; right: Vector; down: Vector } {
  const [sy, cy, sp, cp, sr, cr] = [
    Math.sin(yaw),
    Math.cos(yaw),
    Math.sin(pitch),
    Math.cos(pitch),
    Math.sin(roll),
    Math.cos(roll),
  ]
  const forward: Vector = [cp * sy, cp * cy, sp]
  const right: Vector = [cy, -sy, 0]
  const down: Vector = [sp * sy, sp * cy, -cp]
  return {
    forward,
    right: [cr * right[0] + sr * down[0], cr * right[1] + sr * down[1], cr * right[2] + sr * down[2]],
    down: [cr * down[0] - sr * right[0], cr * down[1] - sr * right[1], cr * down[2] - sr * right[2]],
  }
}

/** Turns pixels into directions and back: a pinhole with barrel distortion. */
export class Lens {
  readonly width: number
  readonly height: number
  /** Focal length, pixels. */
  readonly focal: number
  /** Per pixel, how far the ray leans to the right and down where it goes 1 forward. */
  readonly #right: Float32Array
  readonly #down: Float32Array

  constructor({ width, height, hfovDeg, distortion }: LensOptions) {
    this.width = width
    this.height = height
    this.focal = width / 2 / Math.tan((hfovDeg * Math.PI) / 360)
    this.#right = new Float32Array(width * height)
    this.#down = new Float32Array(width * height)
    // At the edge of the picture's width the ray is that of the field of view.
    const edge = width / 2 / this.focal
    for (let py = 0, at = 0; py < height; py++) {
      for (let px = 0; px < width; px++, at++) {
        const u = (px + 0.5 - width / 2) / this.focal
        const v = (py + 0.5 - height / 2) / this.focal
        const bend = (1 + distortion * (u * u + v * v)) / (1 + distortion * edge * edge)
        this.#right[at] = u * bend
        this.#down[at] = v * bend
      }
    }
  }

  /** The ray of a pixel: how far to the right and down where it goes 1 forward. */
  ray(px: number, py: number): [right: number, down: number] {
    const at = py * this.width + px
    return [this.#right[at], this.#down[at]]
  }

  /** The directions that a picture needs. */
  view(attitude: Attitude): View {
    const { width, height } = this
    const { forward, right, down } = axes(attitude)
    let [azLow, azHigh, elLow, elHigh] = [0, 0, Math.PI / 2, -Math.PI / 2]
    const see = (px: number, py: number) => {
      const [a, b] = this.ray(px, py)
      const e = forward[0] + a * right[0] + b * down[0]
      const n = forward[1] + a * right[1] + b * down[1]
      const u = forward[2] + a * right[2] + b * down[2]
      const turned = Math.atan2(e, n) - attitude.yaw
      const az = Math.atan2(Math.sin(turned), Math.cos(turned))
      const el = Math.atan2(u, Math.hypot(e, n))
      azLow = Math.min(azLow, az)
      azHigh = Math.max(azHigh, az)
      elLow = Math.min(elLow, el)
      elHigh = Math.max(elHigh, el)
    }
    for (let px = 0; px < width; px++) for (const py of [0, height - 1]) see(px, py)
    for (let py = 0; py < height; py++) for (const px of [0, width - 1]) see(px, py)
    const pixel = 1 / this.focal
    const pole = this.#poleInside(axes(attitude))
    if (pole < 0) elLow = -Math.PI / 2
    if (pole > 0) elHigh = Math.PI / 2
    const margin = 3 * pixel
    // Right beside a pole all azimuths are near.
    const round = pole !== 0 || azHigh - azLow > 1.8 * Math.PI
    return {
      azimuth: round ? -Math.PI : attitude.yaw + azLow - margin,
      azimuthRange: round ? 2 * Math.PI : azHigh - azLow + 2 * margin,
      elevation: Math.max(-Math.PI / 2, elLow - margin),
      elevationRange: Math.min(Math.PI / 2, elHigh + margin) - Math.max(-Math.PI / 2, elLow - margin),
      pixel,
    }
  }

  /**
   * Takes the picture out of the panorama.
   *
   * @param out.image packed RGB, 3·width·height
   * @param out.labels width·height
   * @param jello by how many pixels each row is shifted to the right by vibration, [height]
   */
  look(
    panorama: Panorama,
    attitude: Attitude,
    jello: Float32Array,
    out: { image: Uint8Array; labels: Uint8Array },
  ): void {
    const { width, height } = this
    const { forward, right, down } = axes(attitude)
    const { columns, rows, colour, label, view } = panorama
    const perAz = columns / view.azimuthRange
    const perEl = rows / view.elevationRange
    const round = view.azimuthRange > 6.28
    const middle = view.azimuth + view.azimuthRange / 2
    const { image, labels } = out
    for (let py = 0, at = 0; py < height; py++) {
      const shift = jello[py] / this.focal
      for (let px = 0; px < width; px++, at++) {
        const a = this.#right[at] + shift
        const b = this.#down[at]
        const e = forward[0] + a * right[0] + b * down[0]
        const n = forward[1] + a * right[1] + b * down[1]
        const u = forward[2] + a * right[2] + b * down[2]
        let turned = Math.atan2(e, n) - middle
        if (turned > Math.PI) turned -= 2 * Math.PI
        else if (turned < -Math.PI) turned += 2 * Math.PI
        const c = (turned + view.azimuthRange / 2) * perAz - 0.5
        const r = (Math.atan2(u, Math.sqrt(e * e + n * n)) - view.elevation) * perEl - 0.5
        // Labels are never blended: the nearest direction's.
        let c0 = Math.floor(c)
        let r0 = Math.floor(r)
        const fc = c - c0
        const fr = r - r0
        r0 = r0 < 0 ? 0 : r0 > rows - 2 ? rows - 2 : r0
        let c1 = c0 + 1
        if (round) {
          c0 = (c0 + columns) % columns
          c1 = (c1 + columns) % columns
        } else {
          c0 = c0 < 0 ? 0 : c0 > columns - 2 ? columns - 2 : c0
          c1 = c0 + 1
        }
        const low = r0 * columns
        const high = low + columns
        labels[at] = label[(fr < 0.5 ? low : high) + (fc < 0.5 ? c0 : c1)]
        const p = colour[low + c0]
        const q = colour[low + c1]
        const s = colour[high + c0]
        const t = colour[high + c1]
        const wp = (1 - fc) * (1 - fr)
        const wq = fc * (1 - fr)
        const ws = (1 - fc) * fr
        const wt = fc * fr
        image[3 * at] = wp * (p & 255) + wq * (q & 255) + ws * (s & 255) + wt * (t & 255)
        image[3 * at + 1] =
          wp * ((p >> 8) & 255) + wq * ((q >> 8) & 255) + ws * ((s >> 8) & 255) + wt * ((t >> 8) & 255)
        image[3 * at + 2] = wp * (p >> 16) + wq * (q >> 16) + ws * (s >> 16) + wt * (t >> 16)
      }
    }
  }

  /** -1 where straight down lies in the picture, 1 where straight up does, 0 otherwise. */
  #poleInside({ forward, right, down }: { forward: Vector; right: Vector; down: Vector }): -1 | 0 | 1 {
    for (const sign of [-1, 1] as const) {
      const ahead = sign * forward[2]
      if (ahead <= 0) continue
      const a = (sign * right[2]) / ahead
      const b = (sign * down[2]) / ahead
      const [edgeA] = this.ray(this.width - 1, this.height >> 1)
      const [, edgeB] = this.ray(this.width >> 1, this.height - 1)
      if (Math.abs(a) < 1.15 * edgeA && Math.abs(b) < 1.15 * edgeB) return sign
    }
    return 0
  }
}
