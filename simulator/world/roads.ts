import { unit } from './noise.js'

/** Of the main roads, m; each lies somewhere within its strip. */
const SPACING = 380

/** Half of the width of the tar, m. */
export const ROAD_HALF_WIDTH = 3.6

/** Which way a road runs. */
export type Direction = 'north' | 'east'

/**
 * Where the `index`-th road of a direction lies at `along`, m: a gentle curve, so that everybody who needs it (the ground, the cars) can
 * ask for it by itself.
 *
 * @returns x of a road that runs north at y = along; y of one that runs east at x = along
 */
export function roadAt(direction: Direction, index: number, along: number, seed: number): number {
  const salt = seed + (direction === 'north' ? 101 : 202)
  const wave = 90 + 60 * unit(index, 1, salt)
  const phase = 6.283 * unit(index, 2, salt)
  const sway = 18 * unit(index, 3, salt)
  return (index + 0.25 + 0.5 * unit(index, 4, salt)) * SPACING + sway * Math.sin(along / wave + phase)
}

/** The roads of a direction whose strips touch `across` ± `reach`. */
export function roadsNear(across: number, reach: number): [first: number, last: number] {
  return [Math.floor((across - reach - 20) / SPACING), Math.floor((across + reach + 20) / SPACING)]
}

export interface RoadPlace {
  /** To the middle of the nearest main road, m. */
  distance: number
  /** Along it, m. */
  along: number
}

const place: RoadPlace = { distance: 0, along: 0 }

/** The nearest main road. The returned object is used again at the next call. */
export function nearestRoad(x: number, y: number, seed: number): RoadPlace {
  place.distance = Number.POSITIVE_INFINITY
  const near = (across: number, along: number, direction: Direction) => {
    const cell = Math.floor(across / SPACING)
    // A road lies in the middle half of its strip, and sways: only the strip's own road and the nearer neighbour's can be nearest.
    const other = across / SPACING - cell < 0.5 ? cell - 1 : cell + 1
    for (const index of [cell, other]) {
      const distance = Math.abs(across - roadAt(direction, index, along, seed))
      if (distance < place.distance) {
        place.distance = distance
        place.along = along
      }
    }
  }
  near(x, y, 'north')
  near(y, x, 'east')
  return place
}
