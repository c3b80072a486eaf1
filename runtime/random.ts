import { createHash } from 'node:crypto'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** Seeded randomness. Everything random in Kestrel draws from one of these, so that a run can be repeated. */
export interface Rng {
  /** Uniform in [0, 1). */
  float(): number
  /** Uniform integer in [0, n). */
  int(n: number): number
  /** Standard normal (Box–Muller). */
  normal(): number
}

/**
 * @param seed a number or a text; use `${seed}/purpose` to give independent streams to independent purposes.
 */
export function createRng(seed: number | string): Rng {
  const digest = createHash('sha256').update(String(seed)).digest()
  const generator = xoroshiro128plus(digest.readInt32LE(0))
  const float = () => uniformFloat64(generator)
  return {
    float,
    int: n => uniformInt(generator, 0, n - 1),
    normal: () => Math.sqrt(-2 * Math.log(1 - float())) * Math.cos(2 * Math.PI * float()),
  }
}

/** `count` distinct integers out of [0, n), in ascending order (Floyd's algorithm). */
export function sampleWithoutReplacement(n: number, count: number, rng: Rng): Uint32Array {
  const chosen = new Set<number>()
  for (let i = n - Math.min(count, n); i < n; i++) {
    const candidate = rng.int(i + 1)
    chosen.add(chosen.has(candidate) ? i : candidate)
  }
  return Uint32Array.from(chosen).sort()
}

/**
 * `count` distinct indices of `weights`, in ascending order, drawn one after another, each in proportion to the weights that are left
 * (Efraimidis and Spirakis, 2006: the greatest keys ln(u) / weight).
 *
 * @param weights > 0
 */
export function weightedSampleWithoutReplacement(
  weights: ArrayLike<number>,
  count: number,
  rng: Rng,
): Uint32Array {
  const keys = Float64Array.from(weights, weight => Math.log(1 - rng.float()) / weight)
  const order = Uint32Array.from(keys.keys()).sort((a, b) => keys[b] - keys[a])
  return order.slice(0, count).sort()
}
