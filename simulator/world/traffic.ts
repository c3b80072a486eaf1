import { M } from './materials.js'
import { unit } from './noise.js'
import { type Direction, roadAt, roadsNear } from './roads.js'
import { FINEST_M, TILE, TILE_BITS, type Tiles } from './tiles.js'
import type { World } from './world.js'

/** From car to car in one lane, m, where there is one. */
const GAP_M = 55
const LANE_M = 1.75
/** Cars further away than this are too small to matter, m. */
const REACH_M = 600
/** Levels into which cars are stamped; coarser texels are larger than a car. */
const CAR_LEVELS = 5

const paints = [M.whiteCar, M.whiteCar, M.darkCar, M.darkCar, M.redCar, M.blueCar]

interface Stamp {
  cars: Uint16Array
  at: number
}

/**
 * The cars on the main roads at one moment, stamped into the tiles for the time of a frame. Where a car is depends on the time only, so
 * that any frame can be drawn at any time.
 */
export class Traffic {
  readonly #world: World
  readonly #tiles: Tiles
  #stamps: Stamp[] = []

  constructor(world: World, tiles: Tiles) {
    this.#world = world
    this.#tiles = tiles
  }

  /** Puts the cars around a place into the tiles. Take them out again with `remove`. */
  place(x: number, y: number, timeS: number): void {
    for (const direction of ['north', 'east'] as const) {
      const [across, along] = direction === 'north' ? [x, y] : [y, x]
      const [first, last] = roadsNear(across, REACH_M)
      for (let road = first; road <= last; road++) {
        for (const lane of [-1, 1] as const) this.#drive(direction, road, lane, along, timeS, x, y)
      }
    }
  }

  remove(): void {
    for (const { cars, at } of this.#stamps) cars[at] = 0
    this.#stamps = []
  }

  #drive(
    direction: Direction,
    road: number,
    lane: 1 | -1,
    middle: number,
    timeS: number,
    x: number,
    y: number,
  ): void {
    const { seed } = this.#world
    const salt = seed + (direction === 'north' ? 401 : 402) + lane
    const moved = lane * (9 + 6 * unit(road, 7, salt)) * timeS
    const first = Math.floor((middle - REACH_M - moved) / GAP_M)
    const last = Math.ceil((middle + REACH_M - moved) / GAP_M)
    for (let slot = first; slot <= last; slot++) {
      if (unit(road, slot, salt + 10) > 0.55) continue
      const along = (slot + 0.6 * unit(road, slot, salt + 20)) * GAP_M + moved
      const across = roadAt(direction, road, along, seed)
      const ahead = roadAt(direction, road, along + 2, seed)
      const slant = (ahead - across) / 2
      const [cx, cy] =
        direction === 'north' ? [across + lane * LANE_M, along] : [along, across - lane * LANE_M]
      if (Math.hypot(cx - x, cy - y) > REACH_M || this.#world.terrain(cx, cy) < 0.5) continue
      const large = unit(road, slot, salt + 30) < 0.15
      const paint = paints[Math.floor(unit(road, slot, salt + 40) * paints.length)]
      const heading = direction === 'north' ? Math.atan2(slant, 1) : Math.atan2(1, slant)
      this.#stamp(cx, cy, heading, large ? 4 : 2.2, large ? 1.2 : 0.9, large ? 2.8 : 1.5, paint)
    }
  }

  /** @param heading clockwise from north */
  #stamp(
    x: number,
    y: number,
    heading: number,
    halfLength: number,
    halfWidth: number,
    tall: number,
    paint: number,
  ) {
    const s = Math.sin(heading)
    const c = Math.cos(heading)
    for (let level = 0; level < CAR_LEVELS; level++) {
      const texel = FINEST_M * 2 ** level
      const reach = Math.ceil((halfLength + 1) / texel)
      const mx = Math.floor(x / texel)
      const my = Math.floor(y / texel)
      for (let ty = my - reach; ty <= my + reach; ty++) {
        for (let tx = mx - reach; tx <= mx + reach; tx++) {
          const dx = (tx + 0.5) * texel - x
          const dy = (ty + 0.5) * texel - y
          if (
            Math.abs(dx * s + dy * c) > halfLength ||
            Math.abs(dx * c - dy * s) > Math.max(halfWidth, texel / 2)
          )
            continue
          const { cars } = this.#tiles.get(level, tx >> TILE_BITS, ty >> TILE_BITS)
          const at = ((ty & (TILE - 1)) << TILE_BITS) + (tx & (TILE - 1))
          this.#stamps.push({ cars, at })
          cars[at] = (paint + 1) | (Math.round(10 * tall) << 8)
        }
      }
    }
  }
}
