import { unit } from './noise.js'
import { raise, type Surface } from './surface.js'

/** A rectangular house on its lot. */
export interface House {
  /** From its middle, along and across the ridge, m. */
  along: number
  across: number
  halfLength: number
  halfWidth: number
  /** To the eaves, m. */
  eaves: number
  /** From the eaves to the ridge, m; 0: a flat roof. */
  ridge: number
  material: number
  /** Its own brightness, 0..1. */
  tint: number
}

/** Raises the surface to the roof, where the point is under it. @returns whether it is */
export function paintHouse(surface: Surface, house: House): boolean {
  const { along, across, halfLength, halfWidth, eaves, ridge, material, tint } = house
  const a = Math.abs(along)
  const b = Math.abs(across)
  if (a > halfLength || b > halfWidth) return false
  const up = ridge * (1 - b / halfWidth)
  // Rows of tiles, and an edge.
  const row = (b * 2.2) % 1 < 0.5 ? 0.06 : 0
  const edge = b > halfWidth - 0.4 || a > halfLength - 0.4 ? 0.15 : 0
  raise(surface, eaves + up, material, 0.3 + 0.5 * tint + row - edge)
  return true
}

/**
 * A lot of a grid and the place within it.
 *
 * @param angle by which the grid is turned, radians
 */
export interface Lot {
  ix: number
  iy: number
  /** From the lot's middle, m. */
  dx: number
  dy: number
}

const lot: Lot = { ix: 0, iy: 0, dx: 0, dy: 0 }

/** The lot of a grid of `width` × `depth` m that a point lies on. The returned object is used again at the next call. */
export function lotAt(x: number, y: number, width: number, depth: number, angle = 0): Lot {
  const c = Math.cos(angle)
  const s = Math.sin(angle)
  const u = x * c + y * s
  const v = y * c - x * s
  lot.ix = Math.floor(u / width)
  lot.iy = Math.floor(v / depth)
  lot.dx = u - (lot.ix + 0.5) * width
  lot.dy = v - (lot.iy + 0.5) * depth
  return lot
}

/** One of a few, by place. */
export function pick<T>(list: readonly T[], ix: number, iy: number, seed: number): T {
  return list[Math.floor(unit(ix, iy, seed) * list.length)]
}
