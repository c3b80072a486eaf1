import type { Surface } from './surface.js'
import { type Hint, hintOf, type Site, type World } from './world.js'

/** Texels along a tile's edge: 2^TILE_BITS. */
export const TILE_BITS = 7
export const TILE = 1 << TILE_BITS

/** Size of a texel of the finest level, m; each level doubles it. */
export const FINEST_M = 0.25
export const LEVELS = 9

/** Every so many texels the terrain is computed; in between it is interpolated. */
const COARSE = 4

/** Tiles that are kept; the oldest go. About 200 kB each. */
const MAX_TILES = 900

/** How far shadows reach, in texels of their level and m. */
const SHADOW_STEPS = [1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 48]
const SHADOW_REACH_M = 90
/** From here on texels are too coarse for shadows to be seen. */
const SHADOW_LEVELS = 6

/** A square of the world, rasterised: what stands where, how high, of what. Arrays are TILE × TILE, rows go north. */
export interface Tile {
  /** Top of what stands there, m above sea level. */
  height: Float32Array
  material: Uint8Array
  /** The material's pattern, 0..255. */
  shade: Uint8Array
  /** Slope of the surface to the east and north, -127..127 for -2..2. */
  east: Int8Array
  north: Int8Array
  /** 1 where the sun does not reach; for the sun of `shadowKey`. */
  shadow: Uint8Array
  shadowKey: number
  /** What drives there at the moment, 0 nothing: material + 1, and above the low byte its height in dm. */
  cars: Uint16Array
}

/** Where the sun stands, for shadows. */
export interface ShadowSun {
  /** Towards the sun, over the ground; of length 1. */
  east: number
  north: number
  /** Tangent of its elevation. */
  rise: number
  /** Differs where the shadows do. */
  key: number
}

/** The world as far as somebody looked, at several resolutions. What a tile holds depends on its place only, not on who asked first. */
export class Tiles {
  readonly #world: World
  readonly #tiles = new Map<number, Tile>()
  readonly #surface: Surface = { ground: 0, top: 0, material: 0, shade: 0 }

  constructor(world: World) {
    this.#world = world
  }

  /** The tile of a level, by its index from home. */
  get(level: number, ix: number, iy: number): Tile {
    const key = (level * 65536 + ix + 32768) * 65536 + iy + 32768
    const known = this.#tiles.get(key)
    if (known !== undefined) return known
    const tile = this.#build(level, ix, iy)
    if (this.#tiles.size >= MAX_TILES) {
      const [oldest] = this.#tiles.keys()
      this.#tiles.delete(oldest)
    }
    this.#tiles.set(key, tile)
    return tile
  }

  /** The same with its shadows. */
  lit(level: number, ix: number, iy: number, sun: ShadowSun): Tile {
    const tile = this.get(level, ix, iy)
    if (tile.shadowKey !== sun.key && level < SHADOW_LEVELS) this.#castShadows(tile, level, ix, iy, sun)
    return tile
  }

  #build(level: number, ix: number, iy: number): Tile {
    const texel = FINEST_M * 2 ** level
    const x0 = ix * TILE * texel
    const y0 = iy * TILE * texel
    const sites = this.#sites(x0, y0, texel)
    const side = TILE / COARSE + 2
    const tile: Tile = {
      height: new Float32Array(TILE * TILE),
      material: new Uint8Array(TILE * TILE),
      shade: new Uint8Array(TILE * TILE),
      east: new Int8Array(TILE * TILE),
      north: new Int8Array(TILE * TILE),
      shadow: new Uint8Array(TILE * TILE),
      shadowKey: Number.NaN,
      cars: new Uint16Array(TILE * TILE),
    }
    const step = COARSE * texel
    for (let gy = 0; gy < side - 2; gy++) {
      for (let gx = 0; gx < side - 2; gx++) {
        const p = gy * side + gx
        const [a, b, c, d] = [sites[p], sites[p + 1], sites[p + side], sites[p + side + 1]]
        const hint = hintOf(a, b, c, d, step)
        const slope = Math.hypot(b.height - a.height, c.height - a.height) / step
        this.#fill(tile, {
          gx,
          gy,
          x0,
          y0,
          texel,
          corners: [a.height, b.height, c.height, d.height],
          slope,
          hint,
        })
      }
    }
    slopes(tile, texel)
    return tile
  }

  /** The texels of one coarse cell; heights are interpolated between its corners. */
  #fill(
    tile: Tile,
    cell: {
      gx: number
      gy: number
      x0: number
      y0: number
      texel: number
      corners: [number, number, number, number]
      slope: number
      hint: Hint
    },
  ): void {
    const { gx, gy, x0, y0, texel, corners, slope, hint } = cell
    const [a, b, c, d] = corners
    const surface = this.#surface
    for (let v = 0; v < COARSE; v++) {
      const j = gy * COARSE + v
      const fy = (v + 0.5) / COARSE
      for (let u = 0; u < COARSE; u++) {
        const i = gx * COARSE + u
        const fx = (u + 0.5) / COARSE
        const ground = (a + (b - a) * fx) * (1 - fy) + (c + (d - c) * fx) * fy
        this.#world.surfaceAt(x0 + (i + 0.5) * texel, y0 + (j + 0.5) * texel, ground, slope, hint, surface)
        const at = j * TILE + i
        tile.height[at] = surface.top
        tile.material[at] = surface.material
        tile.shade[at] = Math.max(0, Math.min(255, 255 * surface.shade))
      }
    }
  }

  /** What the world is like every COARSE texels, from the tile's corner on. */
  #sites(x0: number, y0: number, texel: number): Site[] {
    const side = TILE / COARSE + 2
    const sites: Site[] = []
    for (let j = 0; j < side; j++) {
      for (let i = 0; i < side; i++) {
        sites.push(this.#world.siteAt(x0 + i * COARSE * texel, y0 + j * COARSE * texel))
      }
    }
    return sites
  }

  /** A texel lies in shadow where something on the way to the sun stands above the ray. */
  #castShadows(tile: Tile, level: number, ix: number, iy: number, sun: ShadowSun): void {
    const texel = FINEST_M * 2 ** level
    const steps = SHADOW_STEPS.filter(count => count === 1 || count * texel <= SHADOW_REACH_M)
    const around: (Tile | undefined)[] = Array(9).fill(undefined)
    const tileAt = (dx: number, dy: number): Tile =>
      (around[(dy + 1) * 3 + dx + 1] ??= this.get(level, ix + dx, iy + dy))
    around[4] = tile
    const offsets = steps.map(count => ({
      dx: Math.round(count * sun.east),
      dy: Math.round(count * sun.north),
      rise: count * texel * sun.rise,
    }))
    for (let j = 0, at = 0; j < TILE; j++) {
      for (let i = 0; i < TILE; i++, at++) {
        const height = tile.height[at]
        let shadow = 0
        for (let k = 0; k < offsets.length; k++) {
          const { dx, dy, rise } = offsets[k]
          const x = i + dx
          const y = j + dy
          const other =
            x >= 0 && x < TILE && y >= 0 && y < TILE ? tile : tileAt(x >> TILE_BITS, y >> TILE_BITS)
          if (other.height[((y & (TILE - 1)) << TILE_BITS) + (x & (TILE - 1))] > height + rise + 0.3) {
            shadow = 1
            break
          }
        }
        tile.shadow[at] = shadow
      }
    }
    tile.shadowKey = sun.key
  }
}

/** From central differences within the tile, one-sided at its edges. */
function slopes(tile: Tile, texel: number): void {
  const { height, east, north } = tile
  const scale = 127 / 2 / texel
  const clamp = (value: number) => Math.max(-127, Math.min(127, Math.round(value)))
  for (let j = 0, at = 0; j < TILE; j++) {
    for (let i = 0; i < TILE; i++, at++) {
      const left = i > 0 ? at - 1 : at
      const right = i < TILE - 1 ? at + 1 : at
      const down = j > 0 ? at - TILE : at
      const up = j < TILE - 1 ? at + TILE : at
      east[at] = clamp((scale * (height[right] - height[left])) / Math.max(1, right - left))
      north[at] = clamp((scale * (height[up] - height[down])) / Math.max(1, (up - down) / TILE))
    }
  }
}
