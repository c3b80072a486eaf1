import type { Conditions } from '../conditions.js'
import { materialList } from '../world/materials.js'
import { smoothstep } from '../world/noise.js'
import type { ShadowSun } from '../world/tiles.js'

type Rgb = [number, number, number]

/** Everything about colours that stays the same over one frame. */
export interface Light {
  /** Towards the sun: east, north, up; of length 1. */
  sun: Rgb
  shadowSun: ShadowSun
  /** Colour that direct sun and sky add to a white surface, with the exposure in it; 255 is full. */
  direct: Rgb
  ambient: Rgb
  /** Albedo of each material under the season's conditions, 3 each, 0..1, and its contrast. */
  albedo: Float32Array
  contrast: Float32Array
  /** What distance fades into, and how fast: share of light that is left after 1 m is e^-density. */
  hazeColour: Rgb
  hazeDensity: number
  zenith: Rgb
  horizon: Rgb
}

const DEG = Math.PI / 180

/** Shadows move in steps of this, so that they need not be cast anew for each frame. */
const SHADOW_STEP_DEG = 6

const mix = (a: Rgb, b: Rgb, t: number): Rgb => [
  a[0] + (b[0] - a[0]) * t,
  a[1] + (b[1] - a[1]) * t,
  a[2] + (b[2] - a[2]) * t,
]
const scale = (a: Rgb, by: number): Rgb => [a[0] * by, a[1] * by, a[2] * by]

/** The light of a moment. The camera's own exposure follows it most of the way, as automatic exposure does. */
export function lightOf(conditions: Conditions): Light {
  const { sunElevationDeg, sunAzimuthDeg, cloud, haze, rain, exposureEv } = conditions
  const elevation = sunElevationDeg * DEG
  const azimuth = sunAzimuthDeg * DEG
  const high = smoothstep(-3, 28, sunElevationDeg)
  const dusk = 1 - smoothstep(2, 22, sunElevationDeg)
  const strength = (0.03 + 0.97 * smoothstep(-2, 20, sunElevationDeg)) * (1 - 0.88 * cloud)
  const sunColour = mix([1, 0.96, 0.88], [1, 0.62, 0.34], dusk)
  const skyColour = mix(mix([0.6, 0.74, 1], [0.72, 0.66, 0.78], dusk), [0.86, 0.88, 0.92], cloud)
  const skyStrength = 0.06 + (0.34 + 0.3 * cloud) * (0.15 + 0.85 * high) * (1 - 0.35 * rain)
  const total = strength * Math.max(0.1, Math.sin(Math.max(0, elevation))) + skyStrength
  const gain = 255 * 2 ** exposureEv * 1.45 * (0.8 / total) ** 0.8
  const horizon = scale(
    mix(mix([0.78, 0.86, 0.95], [1, 0.7, 0.48], dusk), [0.8, 0.82, 0.84], cloud),
    gain * (skyStrength * 1.05 + 0.1 * strength),
  )
  const zenith = scale(
    mix(mix([0.3, 0.5, 0.88], [0.34, 0.38, 0.6], dusk), [0.68, 0.7, 0.74], cloud),
    gain * skyStrength * 1.6,
  )
  return {
    sun: [
      Math.cos(elevation) * Math.sin(azimuth),
      Math.cos(elevation) * Math.cos(azimuth),
      Math.sin(elevation),
    ],
    shadowSun: shadowSun(sunElevationDeg, sunAzimuthDeg),
    direct: scale(sunColour, gain * strength * 1.15),
    ambient: scale(skyColour, gain * skyStrength),
    ...surfaces(conditions),
    hazeColour: mix(horizon, scale([0.85, 0.86, 0.88], gain * skyStrength * 0.95), Math.max(cloud, rain)),
    hazeDensity: 3.5 / (40_000 * (300 / 40_000) ** Math.max(haze, 0.6 * rain)),
    zenith,
    horizon,
  }
}

function shadowSun(elevationDeg: number, azimuthDeg: number): ShadowSun {
  const elevation = Math.max(1, Math.round(elevationDeg / SHADOW_STEP_DEG))
  const azimuth = Math.round(azimuthDeg / SHADOW_STEP_DEG)
  const angle = azimuth * SHADOW_STEP_DEG * DEG
  return {
    east: Math.sin(angle),
    north: Math.cos(angle),
    rise: Math.tan(Math.min(89, elevation * SHADOW_STEP_DEG) * DEG),
    key: elevation * 1000 + azimuth,
  }
}

function surfaces({ autumn, snow, dry, rain }: Conditions) {
  const albedo = new Float32Array(3 * materialList.length)
  const contrast = new Float32Array(materialList.length)
  for (const [i, material] of materialList.entries()) {
    let colour = material.colour as Rgb
    if (material.dry !== undefined) colour = mix(colour, material.dry as Rgb, dry)
    if (material.autumn !== undefined) colour = mix(colour, material.autumn as Rgb, autumn)
    // Wet ground is darker; snow lies on it.
    colour = mix(scale(colour, 1 - 0.22 * rain), [228, 233, 240], snow * material.snow)
    // Colours are given as they look; a little contrast, as cameras add.
    for (let c = 0; c < 3; c++) albedo[3 * i + c] = (colour[c] / 255) ** 1.15
    contrast[i] = material.contrast * (1 - 0.6 * snow * material.snow)
  }
  return { albedo, contrast }
}
