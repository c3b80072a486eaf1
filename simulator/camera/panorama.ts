import { Label } from '../world/classes.js'
import { M, materialList } from '../world/materials.js'
import { fractal, unit } from '../world/noise.js'
import { FINEST_M, LEVELS, TILE, TILE_BITS, type Tile, type Tiles } from '../world/tiles.js'
import type { Light } from './light.js'

/** A range of directions: azimuth clockwise from north, elevation above the horizon, radians. */
export interface View {
  azimuth: number
  azimuthRange: number
  elevation: number
  elevationRange: number
  /** Angle between neighbouring pixels of the picture, radians. */
  pixel: number
}

/** How far one sees, m. */
const FAR_M = 6000

/** Texels are about as large as what one pixel covers, times this. */
const TEXEL_PER_PIXEL = 1.1

/** Steps are at most this share of the distance: nothing that stands upright may be stepped over. */
const STEP_SHARE = 0.006

const labels = Uint8Array.from(materialList, ({ label }) => label)

/**
 * The world around a point, by direction: a column for each azimuth, a row for each elevation, from the lowest up. In a column the
 * world is a section through a height field, and marching outward fills it from below: each surface that rises above what was
 * seen so far is visible just there (the method of Comanche, 1992). What the camera sees is then looked up by direction, so that any
 * attitude and lens cost the same.
 */
export class Panorama {
  columns = 0
  rows = 0
  /** Rows of columns; RGB with 8 bits each, red lowest. */
  colour = new Uint32Array(0)
  label = new Uint8Array(0)
  #view: View = { azimuth: 0, azimuthRange: 1, elevation: 0, elevationRange: 1, pixel: 1 }
  #slopes = new Float64Array(0)
  readonly #current: (Tile | undefined)[] = Array(LEVELS).fill(undefined)
  readonly #currentKey = new Float64Array(LEVELS)

  get view(): View {
    return this.#view
  }

  /** Draws everything in view of a point. */
  draw(options: {
    x: number
    y: number
    z: number
    view: View
    tiles: Tiles
    light: Light
    seed: number
    timeS: number
  }): void {
    const { view, timeS, seed, light } = options
    this.#prepare(view)
    const stepAz = view.azimuthRange / this.columns
    for (let column = 0; column < this.columns; column++) {
      const azimuth = view.azimuth + (column + 0.5) * stepAz
      const seen = this.#march(column, azimuth, options)
      if (seen < this.rows) this.#sky(column, azimuth, seen, { light, seed, timeS })
    }
    this.#current.fill(undefined)
  }

  #prepare(view: View): void {
    this.#view = view
    const top = view.elevation + view.elevationRange
    const flattest =
      view.elevation <= 0 && top >= 0 ? 1 : Math.cos(Math.min(Math.abs(view.elevation), Math.abs(top)))
    this.columns = Math.max(8, Math.ceil((view.azimuthRange * flattest) / view.pixel))
    this.rows = Math.max(8, Math.ceil(view.elevationRange / view.pixel))
    const size = this.columns * this.rows
    if (this.colour.length < size) {
      this.colour = new Uint32Array(size)
      this.label = new Uint8Array(size)
    }
    this.#slopes = Float64Array.from({ length: this.rows }, (_, r) =>
      Math.tan(
        Math.max(-1.5705, Math.min(1.5705, view.elevation + ((r + 0.5) * view.elevationRange) / this.rows)),
      ),
    )
  }

  /** @returns how many rows the ground fills, from the lowest */
  #march(
    column: number,
    azimuth: number,
    {
      x,
      y,
      z,
      view,
      tiles,
      light,
    }: { x: number; y: number; z: number; view: View; tiles: Tiles; light: Light },
  ): number {
    const { columns, rows, colour, label } = this
    const slopes = this.#slopes
    const dx = Math.sin(azimuth)
    const dy = Math.cos(azimuth)
    const [sunE, sunN, sunU] = light.sun
    const { direct, ambient, albedo, contrast, hazeColour, hazeDensity, shadowSun } = light
    let row = 0
    let t = 0.05
    let above = 10
    let clear = 1
    let clearUntil = 0
    let lastZ = 0
    let first = true
    while (row < rows && t < FAR_M) {
      const slant = Math.sqrt(t * t + above * above)
      let level = 0
      for (
        let texel = FINEST_M;
        level < LEVELS - 1 && texel * 2 < slant * view.pixel * TEXEL_PER_PIXEL * 1.4;
        level++
      )
        texel *= 2
      const size = FINEST_M * 2 ** level
      const px = Math.floor((x + dx * t) / size)
      const py = Math.floor((y + dy * t) / size)
      const ix = px >> TILE_BITS
      const iy = py >> TILE_BITS
      const key = ix * 65536 + iy
      let tile = this.#current[level]
      if (tile === undefined || this.#currentKey[level] !== key) {
        tile = tiles.lit(level, ix, iy, shadowSun)
        this.#current[level] = tile
        this.#currentKey[level] = key
      }
      const at = ((py & (TILE - 1)) << TILE_BITS) + (px & (TILE - 1))
      let height = tile.height[at]
      let material = tile.material[at]
      const car = tile.cars[at]
      if (car !== 0) {
        height += (car >> 8) / 10
        material = (car & 255) - 1
      }
      const slope = (height - z) / t
      if (slope >= slopes[row]) {
        // A step up is a wall, seen from the side.
        const steep = !first && height - lastZ > Math.max(1.2, 1.5 * size)
        const wall = steep && labels[material] === Label.residential
        const crown = steep && labels[material] === Label.forest
        const e = tile.east[at] / 63.5
        const n = tile.north[at] / 63.5
        const norm = 1 / Math.sqrt(1 + e * e + n * n)
        const lit = tile.shadow[at] === 1 ? 0 : Math.max(0, (sunU - e * sunE - n * sunN) * norm)
        if (t > clearUntil) {
          clear = Math.exp(-hazeDensity * slant)
          clearUntil = t * 1.04
        }
        const faded = 1 - clear
        const shade = tile.shade[at] / 255
        do {
          let m = material
          let bright = 1 + contrast[material] * (shade - 0.5) * 1.6
          let sun = lit
          if (wall) {
            const up = z + slopes[row] * t
            if (up < height - 0.6 || slope - slopes[row] > 2 * view.pixel) {
              m = material === M.adobe ? M.adobe : M.wall
              // Storeys of 3 m with windows; the side that faces the sun is bright.
              const storey = (((up - lastZ) % 3) + 3) % 3
              const bay = ((((x + dx * t) * 0.7 + (y + dy * t) * 0.7) % 3) + 3) % 3
              bright = storey > 1 && storey < 2.2 && bay > 1 && bay < 2.1 ? 0.45 : 0.8 + 0.4 * shade
              sun = 0.75 * Math.max(0, -(dx * sunE + dy * sunN)) + 0.1
              if (tile.shadow[at] === 1) sun *= 0.3
            }
          }
          if (crown) {
            // Leaves in clumps, darker below.
            const up = z + slopes[row] * t
            const clump = unit(Math.floor(px * size * 1.3), Math.floor(up * 1.5), Math.floor(py * size * 1.3))
            bright *= 0.62 + 0.3 * ((up - lastZ) / (height - lastZ)) + 0.35 * (clump - 0.5)
          }
          const r = albedo[3 * m] * bright * (ambient[0] + direct[0] * sun) * clear + hazeColour[0] * faded
          const g =
            albedo[3 * m + 1] * bright * (ambient[1] + direct[1] * sun) * clear + hazeColour[1] * faded
          const b =
            albedo[3 * m + 2] * bright * (ambient[2] + direct[2] * sun) * clear + hazeColour[2] * faded
          const to = row * columns + column
          colour[to] = pack(r, g, b)
          label[to] = labels[m]
          row++
        } while (row < rows && slope >= slopes[row])
      }
      first = false
      lastZ = height
      above = Math.max(2, z - height)
      const fine = ((t * t + above * above) / above) * view.pixel
      t += Math.max(0.3 * size, Math.min(fine, Math.max(0.8 * size, STEP_SHARE * t)))
    }
    return row
  }

  /** Clouds lie on a plane and drift; towards the horizon the sky brightens. */
  #sky(
    column: number,
    azimuth: number,
    from: number,
    { light, seed, timeS }: { light: Light; seed: number; timeS: number },
  ): void {
    const { columns, rows, colour, label } = this
    const slopes = this.#slopes
    const { zenith, horizon, hazeColour, direct, sun } = light
    for (let row = from; row < rows; row++) {
      const slope = slopes[row]
      const up = slope / Math.sqrt(1 + slope * slope)
      const near = (1 - Math.max(0, up)) ** 4
      let r = zenith[0] + (horizon[0] - zenith[0]) * near
      let g = zenith[1] + (horizon[1] - zenith[1]) * near
      let b = zenith[2] + (horizon[2] - zenith[2]) * near
      if (slope > 0.02) {
        const range = 1.1 / (slope + 0.06)
        const thick = fractal(
          Math.sin(azimuth) * range + timeS * 0.004,
          Math.cos(azimuth) * range,
          seed + 501,
          3,
        )
        const cover = Math.min(1, Math.max(0, (thick - 0.52) * 4)) * Math.min(1, slope * 8)
        const white = (0.9 * (horizon[0] + horizon[1] + horizon[2])) / 3 + 0.1 * direct[1]
        r += (white - r) * cover * 0.7
        g += (white - g) * cover * 0.7
        b += (white * 1.02 - b) * cover * 0.7
      }
      // The sun and its glow.
      const toSun =
        (Math.sin(azimuth) * sun[0] + Math.cos(azimuth) * sun[1]) * Math.sqrt(1 - up * up) + up * sun[2]
      if (toSun > 0.9) {
        const glow = ((toSun - 0.9) * 10) ** 6
        r += direct[0] * glow
        g += direct[1] * glow
        b += direct[2] * glow
      }
      if (slope < 0.02) {
        r = hazeColour[0]
        g = hazeColour[1]
        b = hazeColour[2]
      }
      const to = row * columns + column
      colour[to] = pack(r, g, b)
      label[to] = Label.sky
    }
  }
}

/** Bright values are compressed, as a camera's curve does. */
function pack(r: number, g: number, b: number): number {
  return curve(r) | (curve(g) << 8) | (curve(b) << 16)
}

function curve(value: number): number {
  const v = value < 0 ? 0 : value
  return v < 180 ? v : Math.min(255, 180 + (75 * (v - 180)) / (v - 180 + 75))
}
