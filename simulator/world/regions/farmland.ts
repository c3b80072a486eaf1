import { lotAt, paintHouse, pick } from '../buildings.js'
import { M } from '../materials.js'
import { fractal, unit, valueNoise } from '../noise.js'
import type { Painter } from '../surface.js'
import { raise } from '../surface.js'
import { paintTrees } from '../trees.js'

const crops = [M.grass, M.wheat, M.crop, M.plough, M.rape, M.grass, M.crop]

/** Fields with furrows and hedges, bales, here and there a farm. */
export const farmland: Painter = (x, y, surface, seed) => {
  const bend = 30 * fractal(x / 400, y / 400, seed + 11, 2)
  const angle = 0.3 + 0.2 * unit(0, 0, seed)
  const { ix, iy, dx, dy } = lotAt(x + bend, y - bend, 150, 95, angle)
  const crop = pick(crops, ix, iy, seed + 12)
  const furrow = crop === M.grass ? 0 : 0.22 * Math.sin((unit(ix, iy, seed + 13) < 0.5 ? dx : dy) * 2.1)
  surface.material = crop
  surface.shade = 0.35 + 0.35 * valueNoise(x / 9, y / 9, seed + 14) + furrow + 0.2 * unit(ix, iy, seed + 15)
  const toEdge = Math.min(75 - Math.abs(dx), 47.5 - Math.abs(dy))
  if (unit(ix, iy, seed + 16) < 0.55 && toEdge < 2.2) {
    paintTrees(x, y, surface, {
      seed: seed + 17,
      spacingM: 4,
      share: 0.85,
      heightM: [2, 5],
      material: M.broadleaf,
    })
  }
  const farm = unit(ix, iy, seed + 18) < 0.06
  if (farm) {
    if (Math.abs(dx) < 28 && Math.abs(dy) < 22) surface.material = M.yard
    const tint = unit(ix, iy, seed + 19)
    paintHouse(surface, {
      along: dx + 10,
      across: dy + 6,
      halfLength: 9,
      halfWidth: 5,
      eaves: 4,
      ridge: 3.5,
      material: M.redRoof,
      tint,
    })
    paintHouse(surface, {
      along: dy + 2,
      across: dx - 14,
      halfLength: 14,
      halfWidth: 7,
      eaves: 5,
      ridge: 2.5,
      material: M.greyRoof,
      tint,
    })
  } else if (crop === M.wheat && unit(ix, iy, seed + 20) < 0.7) {
    const bale = lotAt(x, y, 18, 26, angle)
    if (unit(bale.ix, bale.iy, seed + 21) < 0.7 && Math.abs(bale.dx) < 0.9 && Math.abs(bale.dy) < 1.2) {
      raise(surface, 1.3, M.bale, 0.6)
    }
  }
  paintTrees(x, y, surface, {
    seed: seed + 22,
    spacingM: 34,
    share: 0.08,
    heightM: [7, 15],
    radiusM: 6.5,
    material: M.broadleaf,
  })
}
