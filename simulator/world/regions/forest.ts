import { M } from '../materials.js'
import { fractal, smoothstep, valueNoise } from '../noise.js'
import type { Painter } from '../surface.js'
import { paintTrees } from '../trees.js'

/** Broadleaf and conifer stands, with clearings. */
export const forest: Painter = (x, y, surface, seed) => {
  const open = fractal(x / 160, y / 160, seed + 71, 3)
  surface.material = open > 0.62 ? M.grass : M.undergrowth
  surface.shade = 0.2 + 0.5 * valueNoise(x / 4, y / 4, seed + 72)
  const conifers = valueNoise(x / 220, y / 220, seed + 73)
  const share = 0.93 * (1 - smoothstep(0.58, 0.64, open))
  if (share <= 0) return
  paintTrees(x, y, surface, {
    seed: seed + 74,
    spacingM: 6.5,
    share: share * (conifers > 0.5 ? 0.25 : 1),
    heightM: [10, 20],
    material: M.broadleaf,
  })
  if (conifers > 0.45) {
    paintTrees(x, y, surface, {
      seed: seed + 75,
      spacingM: 4.6,
      share,
      heightM: [11, 23],
      material: M.conifer,
      cone: true,
    })
  }
}
