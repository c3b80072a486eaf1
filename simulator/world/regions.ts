import { z } from 'zod'
import { M } from './materials.js'
import { fractal } from './noise.js'
import { coast } from './regions/coast.js'
import { desert } from './regions/desert.js'
import { farmland } from './regions/farmland.js'
import { forest } from './regions/forest.js'
import { oldTown } from './regions/old-town.js'
import { snow } from './regions/snow.js'
import { suburb } from './regions/suburb.js'
import type { Painter } from './surface.js'

interface Region {
  paint: Painter
  /** Of the ground: mean height, height of its waves and of its ridges, m; length of both, m. */
  relief: { base: number; waves: number; ridges: number; lengthM: number }
  road: number
  /** What steep ground shows. */
  slope: number
}

/** What the land is like. */
export const regions = {
  farmland: {
    paint: farmland,
    relief: { base: 24, waves: 16, ridges: 0, lengthM: 700 },
    road: M.asphalt,
    slope: M.grassHill,
  },
  suburb: {
    paint: suburb,
    relief: { base: 24, waves: 8, ridges: 0, lengthM: 600 },
    road: M.asphalt,
    slope: M.grassHill,
  },
  'old-town': {
    paint: oldTown,
    relief: { base: 26, waves: 12, ridges: 0, lengthM: 500 },
    road: M.cobble,
    slope: M.rock,
  },
  forest: {
    paint: forest,
    relief: { base: 34, waves: 50, ridges: 30, lengthM: 520 },
    road: M.dirtRoad,
    slope: M.grassHill,
  },
  coast: {
    paint: coast,
    relief: { base: 4, waves: 74, ridges: 0, lengthM: 560 },
    road: M.asphalt,
    slope: M.chalk,
  },
  snow: {
    paint: snow,
    relief: { base: 70, waves: 40, ridges: 150, lengthM: 800 },
    road: M.dirtRoad,
    slope: M.rock,
  },
  desert: {
    paint: desert,
    relief: { base: 22, waves: 10, ridges: 36, lengthM: 420 },
    road: M.dirtRoad,
    slope: M.redRock,
  },
} satisfies Record<string, Region>

export type RegionKind = keyof typeof regions

export const regionSchema = z.strictObject({
  kind: z.enum(Object.keys(regions) as [RegionKind, ...RegionKind[]]).describe('what the land is like there'),
  x: z.number().describe('middle, m east of home'),
  y: z.number().describe('middle, m north of home'),
})

export type RegionPlace = z.infer<typeof regionSchema>

/** How wide the borders of two regions are in which their terrain blends, m. */
const BLEND_M = 160

/** Which region lies where: that of the nearest middle, with borders that wander. */
export class RegionMap {
  readonly #places: RegionPlace[]
  readonly #seed: number
  /** After `at`: how much each place's terrain counts, in all 1. */
  readonly weights: Float64Array

  constructor(places: RegionPlace[], seed: number) {
    this.#places = places
    this.#seed = seed
    this.weights = new Float64Array(places.length)
  }

  get places(): readonly RegionPlace[] {
    return this.#places
  }

  /** @returns index of the place whose region a point belongs to; sets `weights` */
  at(x: number, y: number): number {
    const seed = this.#seed
    const wx = x + 120 * (fractal(x / 260, y / 260, seed + 1, 2) - 0.5)
    const wy = y + 120 * (fractal(x / 260, y / 260, seed + 5, 2) - 0.5)
    let nearest = 0
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < this.#places.length; i++) {
      const { x: px, y: py } = this.#places[i]
      const distance = Math.hypot(wx - px, wy - py)
      this.weights[i] = distance
      if (distance < least) {
        least = distance
        nearest = i
      }
    }
    let sum = 0
    for (let i = 0; i < this.weights.length; i++) {
      const weight = Math.max(0, 1 - (this.weights[i] - least) / BLEND_M)
      this.weights[i] = weight * weight
      sum += this.weights[i]
    }
    for (let i = 0; i < this.weights.length; i++) this.weights[i] /= sum
    return nearest
  }
}
