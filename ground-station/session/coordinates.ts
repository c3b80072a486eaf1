import { type Rng, sampleWithoutReplacement } from '@kestrel/runtime'

/** Ways to choose the coordinates that a phase may change, as the paper compares them. */
export const strategies = [
  'gradient-guided',
  'random',
  'first-layers',
  'last-layers',
  'first-last',
  'full',
] as const

export type Strategy = (typeof strategies)[number]

/** How many coordinates γ means: ⌈γ·P⌉, at least one. (γ is a decimal: 0.07·100 must not become 8 for its last bit.) */
export function coordinateCount(parameterCount: number, fraction: number): number {
  const exact = fraction * parameterCount
  const nearest = Math.round(exact)
  const count = Math.abs(exact - nearest) < 1e-9 * parameterCount ? nearest : Math.ceil(exact)
  return Math.min(parameterCount, Math.max(1, count))
}

/**
 * I_n: the coordinates of the parameter vector that phase n may change, strictly ascending.
 *
 * - `gradient-guided`: the γ·P with the largest |u|, u being the last Adam step of the previous phase; random in the first phase
 * - `random`: γ·P at random, anew each phase
 * - `first-layers`, `last-layers`: the first or last γ·P in graph order; `first-last`: half of them at either end
 * - `full`: all
 *
 * @param options.step u of the previous phase, [P]; undefined in the first phase
 */
export function selectCoordinates(options: {
  strategy: Strategy
  parameterCount: number
  fraction: number
  step?: Float32Array
  rng: Rng
}): Uint32Array {
  const { strategy, parameterCount, fraction, step, rng } = options
  const count = coordinateCount(parameterCount, fraction)
  switch (strategy) {
    case 'full':
      return range(0, parameterCount)
    case 'first-layers':
      return range(0, count)
    case 'last-layers':
      return range(parameterCount - count, parameterCount)
    case 'first-last': {
      const first = Math.ceil(count / 2)
      const indices = new Uint32Array(count)
      indices.set(range(0, first))
      indices.set(range(parameterCount - (count - first), parameterCount), first)
      return indices
    }
    case 'gradient-guided':
      if (step !== undefined) return largestMagnitudes(step, count)
      return sampleWithoutReplacement(parameterCount, count, rng)
    case 'random':
      return sampleWithoutReplacement(parameterCount, count, rng)
  }
}

/**
 * The indices of the `count` values with the largest magnitude, ascending; of equal magnitudes the lower index comes first.
 * Exact, in O(n): the bits of non-negative floats are ordered like the floats, so that two histograms of 16 bits each
 * find the threshold.
 */
export function largestMagnitudes(values: Float32Array, count: number): Uint32Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const magnitude = 0x7fff_ffff
  const high = new Uint32Array(1 << 16)
  for (let i = 0; i < bits.length; i++) high[(bits[i] & magnitude) >>> 16]++
  const [highBin, above] = cut(high, count)
  const low = new Uint32Array(1 << 16)
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] & magnitude
    if (value >>> 16 === highBin) low[value & 0xffff]++
  }
  const [lowBin, over] = cut(low, count - above)
  const threshold = highBin * 0x1_0000 + lowBin
  let ties = count - above - over
  const indices = new Uint32Array(count)
  let found = 0
  for (let i = 0; i < bits.length && found < count; i++) {
    const value = bits[i] & magnitude
    if (value > threshold || (value === threshold && ties-- > 0)) indices[found++] = i
  }
  return indices
}

/** The bin that holds the `count`-th largest value, and how many values lie in the bins above it. */
function cut(histogram: Uint32Array, count: number): [bin: number, above: number] {
  let above = 0
  for (let bin = histogram.length - 1; bin > 0; bin--) {
    if (above + histogram[bin] >= count) return [bin, above]
    above += histogram[bin]
  }
  return [0, above]
}

function range(from: number, to: number): Uint32Array {
  return Uint32Array.from({ length: to - from }, (_, i) => from + i)
}
