import { lotAt, paintHouse } from '../buildings.js'
import { M } from '../materials.js'
import { fractal, unit, valueNoise } from '../noise.js'
import type { Painter } from '../surface.js'
import { paintTrees } from '../trees.js'

/** Dunes with ripples, shrubs in the hollows, flat clay houses and a few palms. */
export const desert: Painter = (x, y, surface, seed) => {
  const ripple = Math.sin((x + 12 * valueNoise(x / 25, y / 25, seed + 111)) * 0.9 + y * 0.35)
  surface.material = M.dune
  surface.shade = 0.45 + 0.14 * ripple + 0.25 * (valueNoise(x / 40, y / 40, seed + 112) - 0.5)
  if (fractal(x / 120, y / 120, seed + 113, 2) > 0.56) {
    paintTrees(x, y, surface, {
      seed: seed + 114,
      spacingM: 9,
      share: 0.35,
      heightM: [0.8, 2],
      material: M.shrub,
    })
  }
  const village = valueNoise(x / 260, y / 260, seed + 115) > 0.7
  if (!village) return
  const { ix, iy, dx, dy } = lotAt(x, y, 24, 22, 0.25)
  const built = unit(ix, iy, seed + 116) < 0.7
  if (built) {
    paintHouse(surface, {
      along: dx,
      across: dy,
      halfLength: 6 + 3 * unit(ix, iy, seed + 117),
      halfWidth: 5 + 2 * unit(ix, iy, seed + 118),
      eaves: 3 + 3 * unit(ix, iy, seed + 119),
      ridge: 0,
      material: M.adobe,
      tint: unit(ix, iy, seed + 120),
    })
  } else {
    paintTrees(x, y, surface, {
      seed: seed + 121,
      spacingM: 7,
      share: 0.4,
      heightM: [4, 8],
      material: M.palm,
    })
  }
}
