// Noise that depends on nothing but place and seed: the same everywhere, in any order of questions, without tables.

/** A hash of a lattice point, uniform over 32 bits (integer mixing as in MurmurHash3's finaliser). */
export function hash(x: number, y: number, seed: number): number {
  let h = Math.imul(x, 0x85ebca6b) ^ Math.imul(y, 0xc2b2ae35) ^ Math.imul(seed, 0x27d4eb2f)
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return (h ^ (h >>> 16)) >>> 0
}

/** The same in [0, 1). */
export function unit(x: number, y: number, seed: number): number {
  return hash(x, y, seed) / 4294967296
}

/** Smooth noise over the plane in [0, 1), one lattice cell a unit. */
export function valueNoise(x: number, y: number, seed: number): number {
  const ix = Math.floor(x)
  const iy = Math.floor(y)
  const fx = x - ix
  const fy = y - iy
  const u = fx * fx * (3 - 2 * fx)
  const v = fy * fy * (3 - 2 * fy)
  const a = hash(ix, iy, seed)
  const b = hash(ix + 1, iy, seed)
  const c = hash(ix, iy + 1, seed)
  const d = hash(ix + 1, iy + 1, seed)
  return (a + (b - a) * u + (c - a) * v + (a - b - c + d) * u * v) / 4294967296
}

/** Octaves of it, each half as large and twice as fine, in [0, 1). */
export function fractal(x: number, y: number, seed: number, octaves: number): number {
  let sum = 0
  let weight = 0
  let share = 0.5
  for (let i = 0; i < octaves; i++) {
    sum += share * valueNoise(x, y, seed + i)
    weight += share
    share /= 2
    // Turned a little at each octave, so that the lattices do not lie upon each other.
    const turned = 1.6 * x - 1.2 * y
    y = 1.2 * x + 1.6 * y
    x = turned
  }
  return sum / weight
}

/** Ridges: 1 on the crests, 0 in the valleys. */
export function ridged(x: number, y: number, seed: number, octaves: number): number {
  const ridge = 1 - Math.abs(2 * fractal(x, y, seed, octaves) - 1)
  return ridge * ridge
}

/** 0 below `from`, 1 above `to`, smooth in between. */
export function smoothstep(from: number, to: number, value: number): number {
  const t = Math.min(1, Math.max(0, (value - from) / (to - from)))
  return t * t * (3 - 2 * t)
}
