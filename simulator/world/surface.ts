/** What lies at one point of the world. One object is filled over and over: surfaces are asked for by the million. */
export interface Surface {
  /** Height of the bare ground or water, m above sea level. */
  ground: number
  /** Height of what stands on it (a crown, a roof); `ground` where nothing does. */
  top: number
  /** Index into `materialList`, of what is seen from above. */
  material: number
  /** Pattern of the material, 0 (dark) .. 1 (bright). */
  shade: number
}

/** Paints a region's surface at a point; `surface.ground` is set, the rest has the ground's defaults. */
export type Painter = (x: number, y: number, surface: Surface, seed: number) => void

/** Raises the surface to an object, if it is higher than what stands there. */
export function raise(surface: Surface, height: number, material: number, shade: number): void {
  const top = surface.ground + height
  if (top <= surface.top) return
  surface.top = top
  surface.material = material
  surface.shade = shade
}
