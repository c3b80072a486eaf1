import { lotAt, paintHouse } from '../buildings.js'
import { M } from '../materials.js'
import { fractal, unit, valueNoise } from '../noise.js'
import { type Painter, raise } from '../surface.js'
import { paintTrees } from '../trees.js'

/** High pastures under snow all year, dark conifers, huts and poles. */
export const snow: Painter = (x, y, surface, seed) => {
  surface.material = M.snowfield
  surface.shade = 0.3 + 0.4 * fractal(x / 30, y / 12, seed + 91, 2)
  if (fractal(x / 180, y / 180, seed + 92, 3) > 0.5) {
    paintTrees(x, y, surface, {
      seed: seed + 93,
      spacingM: 6,
      share: 0.6,
      heightM: [6, 18],
      material: M.conifer,
      cone: true,
    })
  }
  const { ix, iy, dx, dy } = lotAt(x, y, 64, 64, 0.1)
  if (unit(ix, iy, seed + 94) < 0.1) {
    paintHouse(surface, {
      along: dx,
      across: dy,
      halfLength: 6,
      halfWidth: 4,
      eaves: 3,
      ridge: 3.5,
      material: M.brownRoof,
      tint: valueNoise(ix, iy, seed + 95),
    })
  }
  if (Math.abs(dx) < 0.35 && Math.abs(dy - 20) < 0.35) raise(surface, 6, M.pole, 0.4)
}
