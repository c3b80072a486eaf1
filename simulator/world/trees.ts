import { unit } from './noise.js'
import { raise, type Surface } from './surface.js'

/**
 * Trees on a jittered grid: each cell may hold one, whose crown is a dome (broadleaf) or a cone (conifer).
 *
 * @param options.spacingM of the grid
 * @param options.share of the cells that hold a tree, 0..1
 * @param options.heightM from the smallest to the tallest
 */
export function paintTrees(
  x: number,
  y: number,
  surface: Surface,
  options: {
    seed: number
    spacingM: number
    share: number
    heightM: [number, number]
    material: number
    cone?: boolean
    /** Of the largest crowns, m; by default they nearly touch. */
    radiusM?: number
  },
): void {
  const { seed, spacingM, share, heightM, material, cone = false, radiusM = 0.68 * spacingM } = options
  // A tree stands in the middle half of its cell.
  const [fromX, toX] = [
    Math.ceil((x - radiusM) / spacingM - 0.75),
    Math.floor((x + radiusM) / spacingM - 0.25),
  ]
  const [fromY, toY] = [
    Math.ceil((y - radiusM) / spacingM - 0.75),
    Math.floor((y + radiusM) / spacingM - 0.25),
  ]
  for (let cy = fromY; cy <= toY; cy++) {
    for (let cx = fromX; cx <= toX; cx++) {
      if (unit(cx, cy, seed) >= share) continue
      const size = unit(cx, cy, seed + 1)
      const radius = radiusM * (0.55 + 0.45 * size)
      const dx = x - (cx + 0.25 + 0.5 * unit(cx, cy, seed + 2)) * spacingM
      const dy = y - (cy + 0.25 + 0.5 * unit(cx, cy, seed + 3)) * spacingM
      const far = (dx * dx + dy * dy) / (radius * radius)
      if (far >= 1) continue
      const height = heightM[0] + (heightM[1] - heightM[0]) * size
      const profile = cone ? 1 - 0.85 * Math.sqrt(far) : 0.55 + 0.45 * Math.sqrt(1 - far)
      // Leaves: each tree has its tint, and clumps within the crown.
      const tint = unit(cx, cy, seed + 4)
      const clump = unit(Math.floor(x * 1.6), Math.floor(y * 1.6), seed + 5)
      raise(surface, height * profile, material, 0.2 + 0.45 * tint + 0.35 * clump - 0.25 * far)
    }
  }
}
