import { z } from 'zod'
import type { GroundHeight } from '../vehicle-state.js'
import { M } from './materials.js'
import { fractal, ridged, smoothstep, unit, valueNoise } from './noise.js'
import { RegionMap, regionSchema, regions } from './regions.js'
import { nearestRoad, ROAD_HALF_WIDTH } from './roads.js'
import type { Surface } from './surface.js'

export const worldSchema = z.strictObject({
  regions: z.array(regionSchema).min(1).max(64).describe('what lies where'),
  rivers: z.boolean().default(true).describe('whether there are rivers and ponds'),
  relief: z.number().min(0).max(3).default(1).describe('multiplies heights; 1: as the regions have them'),
})

export type WorldOptions = z.infer<typeof worldSchema>

/** A point of the world as a whole. */
export interface Site {
  /** Of the terrain, m. */
  height: number
  region: number
  /** Noise that is 0 in the middle of a river. */
  river: number
  /** To the nearest main road, m. */
  road: number
}

/** What holds for a point because it holds all around it. */
export interface Hint {
  /** Undefined at borders. */
  region: number | undefined
  noRoad: boolean
  noRiver: boolean
}

const farFromRoads = { distance: Number.POSITIVE_INFINITY, along: 0 }

/** What a cell between four sites, `size` m wide, can be sure of. */
export function hintOf(a: Site, b: Site, c: Site, d: Site, size: number): Hint {
  const region =
    a.region === b.region && a.region === c.region && a.region === d.region ? a.region : undefined
  const road = Math.min(a.road, b.road, c.road, d.road)
  const river = Math.min(a.river, b.river, c.river, d.river)
  return {
    region,
    noRoad: road > 0.75 * size + ROAD_HALF_WIDTH + 2,
    // The noise rises by at most some 1/300 a metre.
    noRiver: river > RIVER + size / 300,
  }
}

/** Slope (rise over run) from which ground counts as a hill. */
const HILL_SLOPE = 0.34

/** Half of a river's width in units of its noise. */
const RIVER = 0.012

/** A landscape without end: everything follows from the seed and the place. */
export class World {
  readonly seed: number
  readonly #map: RegionMap
  readonly #options: WorldOptions

  constructor(options: WorldOptions, seed: number) {
    this.#options = options
    this.seed = seed
    this.#map = new RegionMap(options.regions, seed)
  }

  /** Of the point that `terrain` was asked for last. */
  #region = 0
  #riverNoise = 1

  /** Height of the bare ground; of water, its surface. */
  readonly groundHeight: GroundHeight = (x, y) => Math.max(0, this.terrain(x, y))

  /** Height of the ground, below sea level too, m. */
  terrain(x: number, y: number): number {
    const { places, weights } = this.#map
    this.#region = this.#map.at(x, y)
    let height = 0
    for (let i = 0; i < places.length; i++) {
      if (weights[i] === 0) continue
      const { base, waves, ridges, lengthM } = regions[places[i].kind].relief
      const wave = fractal(x / lengthM, y / lengthM, this.seed + 301, 4) - 0.5
      let here = base + 2 * waves * wave
      if (ridges > 0) here += ridges * ridged(x / (1.7 * lengthM), y / (1.7 * lengthM), this.seed + 311, 4)
      // A coast drops to the sea in a step: cliffs in one place, a beach in another.
      if (places[i].kind === 'coast') {
        const steep = 2 + 14 * smoothstep(0.45, 0.6, valueNoise(x / 300, y / 300, this.seed + 321))
        here = here > 0 ? here * 0.35 + steep * smoothstep(0, 5, here) : here * 0.5
      }
      height += weights[i] * here
    }
    height *= this.#options.relief
    const river = this.#river(x, y)
    this.#riverNoise = river
    if (river < 3 * RIVER && height > 1)
      height -= Math.min(3, height - 0.6) * (1 - smoothstep(RIVER, 3 * RIVER, river))
    return height
  }

  /** What is known of the surroundings of a point, from there; saves asking for each point around it. */
  siteAt(x: number, y: number): Site {
    const height = this.terrain(x, y)
    return {
      height,
      region: this.#region,
      river: this.#riverNoise,
      road: nearestRoad(x, y, this.seed).distance,
    }
  }

  /**
   * What is seen at a point from above.
   *
   * @param ground height of the terrain there, m
   * @param slope of the terrain, rise over run
   * @param hint what is the same all around
   * @param surface is filled in
   */
  surfaceAt(x: number, y: number, ground: number, slope: number, hint: Hint, surface: Surface): void {
    const { seed } = this
    surface.ground = Math.max(0, ground)
    surface.top = surface.ground
    surface.shade = 0.5
    const { kind } = this.#map.places[hint.region ?? this.#map.at(x, y)]
    const region = regions[kind]
    if (ground <= 0) {
      const foam = valueNoise(x / 5, y / 3, seed + 331)
      surface.material = ground > -1.2 * foam ? M.surf : M.sea
      surface.shade = 0.35 + 0.4 * fractal(x / 14, y / 5, seed + 332, 2)
      if (ground < -3 && unit(Math.floor(x / 40), Math.floor(y / 40), seed + 333) < 0.03) {
        const dx = Math.abs((((x % 40) + 40) % 40) - 20)
        const dy = Math.abs((((y % 40) + 40) % 40) - 20)
        if (dx < 4 && dy < 1.4 * (1 - dx / 5)) {
          surface.material = M.boat
          surface.top = 1.5
          surface.shade = 0.6
        }
      }
      return
    }
    const road = hint.noRoad ? farFromRoads : nearestRoad(x, y, seed)
    if (road.distance < ROAD_HALF_WIDTH && slope < 0.6) {
      const line = road.distance < 0.15 && road.along - 12 * Math.floor(road.along / 12) < 5
      surface.material = line && region.road === M.asphalt ? M.marking : region.road
      surface.shade = 0.35 + 0.35 * valueNoise(x / 3, y / 3, seed + 334)
      return
    }
    if (!hint.noRiver && this.#river(x, y) < RIVER) {
      surface.material = M.lake
      surface.shade = 0.35 + 0.35 * fractal(x / 11, y / 4, seed + 335, 2)
      return
    }
    if (slope > HILL_SLOPE && ground > 1.5) {
      surface.material = slope > 0.62 && region.slope === M.grassHill ? M.rock : region.slope
      surface.shade = fractal(x / 6, y / 6, seed + 336, 3)
      return
    }
    region.paint(x, y, surface, seed)
    // Nothing grows into the road, and its verge is mown.
    if (road.distance < ROAD_HALF_WIDTH + 1.8) {
      surface.top = surface.ground
      surface.material = kind === 'desert' ? M.dune : kind === 'snow' ? M.snowfield : M.grass
    }
  }

  #river(x: number, y: number): number {
    if (!this.#options.rivers) return 1
    return Math.abs(fractal(x / 1300, y / 1300, this.seed + 341, 2) - 0.5)
  }
}
