/**
 * IEEE 754 binary16, as bits. `toHalf` rounds to nearest, ties to even; everything from 65520 up becomes an infinity.
 */
const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

/** Largest finite binary16 as bits: 65504. */
export const MAX_HALF = 0x7bff

export function toHalf(value: number): number {
  scratch[0] = value
  const bits = scratchBits[0]
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude >= 0x47800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00)
  if (magnitude < 0x38800000) {
    // Below 2^-14 halves are whole multiples of 2^-24; the scaling is exact in a double.
    const steps = Math.abs(scratch[0]) * 2 ** 24
    const floor = Math.floor(steps)
    const rest = steps - floor
    return sign | (rest > 0.5 || (rest === 0.5 && (floor & 1) === 1) ? floor + 1 : floor)
  }
  const shifted = magnitude - 0x38000000
  return sign | ((shifted + 0xfff + ((shifted >>> 13) & 1)) >>> 13)
}

let table: Float32Array | undefined

/** The values of all 65,536 halves, by bits. */
export function halfValues(): Float32Array {
  if (table === undefined) {
    table = new Float32Array(65536)
    for (let bits = 0; bits < 65536; bits++) {
      const exponent = (bits >>> 10) & 31
      const mantissa = bits & 1023
      const magnitude =
        exponent === 0
          ? mantissa * 2 ** -24
          : exponent === 31
            ? mantissa === 0
              ? Number.POSITIVE_INFINITY
              : Number.NaN
            : (1024 + mantissa) * 2 ** (exponent - 25)
      table[bits] = bits & 0x8000 ? -magnitude : magnitude
    }
  }
  return table
}

export function isFiniteHalf(bits: number): boolean {
  return (bits & 0x7c00) !== 0x7c00
}

/** Halves as integers in the order of their values, one step apart: −0 is −1, +0 is 0. */
export function toOrdinal(bits: number): number {
  return bits & 0x8000 ? -(bits & 0x7fff) - 1 : bits
}

export function fromOrdinal(ordinal: number): number {
  return ordinal < 0 ? 0x8000 | (-ordinal - 1) : ordinal
}

/** The nearest finite binary16: the largest one for what is out of range, 0 for what is not a number. */
export function nearestFiniteHalf(value: number): number {
  const half = toHalf(value)
  if (isFiniteHalf(half)) return half
  return Number.isNaN(value) ? 0 : (half & 0x8000) | MAX_HALF
}
