import { lotAt, paintHouse, pick } from '../buildings.js'
import { M } from '../materials.js'
import { unit, valueNoise } from '../noise.js'
import { type Painter, raise } from '../surface.js'
import { paintTrees } from '../trees.js'

const roofs = [M.redRoof, M.brownRoof, M.greyRoof, M.slateRoof, M.redRoof]
const cars = [M.whiteCar, M.darkCar, M.redCar, M.blueCar]

/** Houses with gardens along streets; cars at the kerb. */
export const suburb: Painter = (x, y, surface, seed) => {
  const angle = 0.2 * unit(1, 0, seed)
  // Blocks of 6 × 2 lots between streets.
  const block = lotAt(x, y, 132, 66, angle)
  const { ix: bx, iy: by, dx: ux, dy: uy } = block
  const kerbX = 66 - Math.abs(ux)
  const kerbY = 33 - Math.abs(uy)
  surface.material = M.lawn
  surface.shade = 0.3 + 0.4 * valueNoise(x / 5, y / 5, seed + 31)
  if (Math.min(kerbX, kerbY) < 3) {
    surface.material = M.asphalt
    surface.shade = 0.4 + 0.3 * valueNoise(x / 3, y / 3, seed + 32)
    if (Math.abs(kerbY - 1.9) < 0.9 && kerbX > 8) {
      const slot = Math.floor((ux + 66) / 7)
      const side = uy > 0 ? 1 : 0
      if (unit(bx * 40 + slot, by * 2 + side, seed + 33) < 0.3 && Math.abs(((ux + 66) % 7) - 3.5) < 2.1) {
        raise(surface, 1.4, pick(cars, bx * 40 + slot, by * 2 + side, seed + 34), 0.5)
      }
    }
    return
  }
  if (Math.min(kerbX, kerbY) < 4.6) {
    surface.material = M.cobble
    return
  }
  const lotX = Math.floor((ux + 66) / 22)
  const lotY = uy > 0 ? 1 : 0
  const lx = bx * 6 + lotX
  const ly = by * 2 + lotY
  const dx = ((ux + 66) % 22) - 11
  const dy = uy - (lotY === 1 ? 18 : -18)
  if (Math.abs(dx) > 10.6 && surface.top === surface.ground) raise(surface, 1.4, M.shrub, 0.3)
  const turned = unit(lx, ly, seed + 35) < 0.4
  const offset = 3 * (unit(lx, ly, seed + 36) - 0.5)
  const house = paintHouse(surface, {
    along: (turned ? dy : dx) - offset,
    across: (turned ? dx : dy) + offset,
    halfLength: 5 + 2 * unit(lx, ly, seed + 37),
    halfWidth: 3.8 + 1.2 * unit(lx, ly, seed + 38),
    eaves: 3 + 3 * unit(lx, ly, seed + 39),
    ridge: 2 + 2 * unit(lx, ly, seed + 40),
    material: pick(roofs, lx, ly, seed + 41),
    tint: unit(lx, ly, seed + 42),
  })
  if (house) return
  // The drive to the garage.
  if (dx > 6.5 && dx < 9.2 && (lotY === 1 ? dy > 0 : dy < 0)) {
    surface.material = M.cobble
    surface.shade = 0.5
    return
  }
  paintTrees(x, y, surface, {
    seed: seed + 43,
    spacingM: 10,
    share: 0.3,
    heightM: [3, 9],
    material: M.broadleaf,
  })
}
