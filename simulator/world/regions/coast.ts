import { lotAt, paintHouse } from '../buildings.js'
import { M } from '../materials.js'
import { fractal, unit, valueNoise } from '../noise.js'
import { type Painter, raise } from '../surface.js'
import { paintTrees } from '../trees.js'

/** Meadows above the sea, sand at it, boats on it; the terrain lies partly below sea level here. */
export const coast: Painter = (x, y, surface, seed) => {
  const rough = valueNoise(x / 7, y / 7, seed + 81)
  if (surface.ground < 2.2) {
    surface.material = M.sand
    surface.shade = 0.3 + 0.5 * rough
    if (surface.ground > 1.2 && unit(Math.floor(x / 9), Math.floor(y / 9), seed + 82) < 0.02) {
      if (((x % 9) + 9) % 9 < 5 && ((y % 9) + 9) % 9 < 1.8) raise(surface, 1.1, M.boat, 0.6)
    }
    return
  }
  surface.material = M.grass
  surface.shade = 0.25 + 0.5 * rough
  if (fractal(x / 60, y / 60, seed + 83, 2) > 0.6) {
    paintTrees(x, y, surface, {
      seed: seed + 84,
      spacingM: 3.2,
      share: 0.6,
      heightM: [1, 2.5],
      material: M.shrub,
    })
  }
  const { ix, iy, dx, dy } = lotAt(x, y, 70, 60, 0.5)
  if (surface.ground > 4 && unit(ix, iy, seed + 85) < 0.12) {
    paintHouse(surface, {
      along: dx,
      across: dy,
      halfLength: 7,
      halfWidth: 4.5,
      eaves: 3.5,
      ridge: 3,
      material: unit(ix, iy, seed + 86) < 0.5 ? M.slateRoof : M.greyRoof,
      tint: unit(ix, iy, seed + 87),
    })
  }
}
