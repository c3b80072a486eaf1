import { lotAt, paintHouse, pick } from '../buildings.js'
import { M } from '../materials.js'
import { fractal, unit, valueNoise } from '../noise.js'
import { type Painter, raise } from '../surface.js'
import { paintTrees } from '../trees.js'

const roofs = [M.redRoof, M.redRoof, M.brownRoof, M.slateRoof, M.flatRoof]

/** Houses wall to wall around courts, crooked cobbled lanes, a church and squares. */
export const oldTown: Painter = (x, y, surface, seed) => {
  const crooked = 26 * (fractal(x / 90, y / 90, seed + 51, 2) - 0.5)
  const { ix, iy, dx, dy } = lotAt(x + crooked, y - 0.8 * crooked, 52, 44, 0.35)
  const lane = Math.min(26 - Math.abs(dx), 22 - Math.abs(dy))
  surface.material = M.cobble
  surface.shade = 0.3 + 0.5 * valueNoise(x / 2, y / 2, seed + 52)
  const kind = unit(ix, iy, seed + 53)
  if (lane < 2.6) {
    if (unit(Math.floor(x / 6), Math.floor(y / 6), seed + 54) < 0.08) {
      const px = Math.abs((((x % 6) + 6) % 6) - 3)
      const py = Math.abs((((y % 6) + 6) % 6) - 3)
      if (px < 1.6 && py < 0.8) raise(surface, 1.4, M.darkCar, 0.5)
    }
    return
  }
  if (kind < 0.1) {
    // A square with trees and a church.
    surface.material = kind < 0.04 ? M.yard : M.lawn
    paintHouse(surface, {
      along: dx,
      across: dy,
      halfLength: 13,
      halfWidth: 5.5,
      eaves: 11,
      ridge: 6,
      material: M.slateRoof,
      tint: 0.5,
    })
    if (Math.abs(dx + 14) < 3 && Math.abs(dy) < 3) raise(surface, 30, M.slateRoof, 0.4)
    paintTrees(x, y, surface, {
      seed: seed + 55,
      spacingM: 9,
      share: 0.35,
      heightM: [5, 10],
      material: M.broadleaf,
    })
    return
  }
  const depth = 10
  if (lane < 2.6 + depth) {
    // Houses along the lane: rows of 9 m, their ridges along it.
    const alongX = 22 - Math.abs(dy) < 26 - Math.abs(dx)
    const along = alongX ? dx : dy
    const house = Math.floor((along + 60) / 9)
    const side = (alongX ? 2 : 0) + ((alongX ? dy : dx) > 0 ? 1 : 0)
    const hx = ix * 31 + house
    const hy = iy * 7 + side
    paintHouse(surface, {
      along: 0,
      across: lane - 2.6 - depth / 2,
      halfLength: 4.5,
      halfWidth: depth / 2,
      eaves: 7 + 6 * unit(hx, hy, seed + 56),
      ridge: 2.5 + 1.5 * unit(hx, hy, seed + 57),
      material: pick(roofs, hx, hy, seed + 58),
      tint: unit(hx, hy, seed + 59),
    })
    return
  }
  surface.material = kind < 0.5 ? M.yard : M.lawn
  paintTrees(x, y, surface, {
    seed: seed + 60,
    spacingM: 8,
    share: 0.3,
    heightM: [4, 9],
    material: M.broadleaf,
  })
}
