import { fromOrdinal, halfValues, MAX_HALF, nearestFiniteHalf, toHalf, toOrdinal } from './half.js'
import { type BitCoder, BitModels, RangeDecoder, RangeEncoder } from './range-coder.js'
import { UpdateRefused } from './refused.js'

/*
 * The codec "delta". Both sides hold the base, so a new value is coded as its distance from the base's own binary16
 * neighbour in binary16 steps, and the mask as one predicted bit for each parameter.
 *
 * What predicts the mask: how dense it was lately, on two scales (selected parameters cluster in filters and layers), and whether the
 * base value is already a binary16 number, which tells that an earlier update has carried it (the same parameters tend to be chosen again).
 *
 * What predicts a distance: Adam moves parameters by similar absolute amounts whatever their size, so its logarithm is predicted from
 * those before it, less the size of a step at this value.
 *
 * A distance may be shortened before (`shortenMovement`): the zeros at its end cost next to nothing.
 */

interface Models {
  mask: BitModels
  maskByScale: BitModels
  magnitude: BitModels
  magnitudeByStep: BitModels
  sign: BitModels
  signByBase: BitModels
  detail: BitModels
  detailByMagnitude: BitModels
  more: BitModels
  moreByPlace: BitModels
  tail: BitModels
  tailByPlace: BitModels
}

/** Bits of a distance below its highest that are predicted one by one; of the rest, where they end in zeros. */
const DETAIL_BITS = 3

function createModels(): Models {
  return {
    mask: new BitModels(2 * 16 * 16),
    maskByScale: new BitModels(2 * 32 * 16),
    magnitude: new BitModels(64 * 32),
    magnitudeByStep: new BitModels(32 * 2 * 32),
    sign: new BitModels(16),
    signByBase: new BitModels(4 * 32),
    detail: new BitModels(64 << DETAIL_BITS),
    detailByMagnitude: new BitModels(32 << DETAIL_BITS),
    more: new BitModels(16),
    moreByPlace: new BitModels(16 * 16),
    tail: new BitModels(16),
    tailByPlace: new BitModels(16 * 16),
  }
}

export function encodeDelta(base: Float32Array, indices: Uint32Array, halves: Uint16Array): Uint8Array {
  const coder = new RangeEncoder()
  codeDelta(coder, base, indices, halves, false)
  return coder.finish()
}

/**
 * @throws UpdateRefused `malformed`. The work is bounded by P, whatever the payload.
 */
export function decodeDelta(
  payload: Uint8Array,
  base: Float32Array,
  count: number,
): { indices: Uint32Array; halves: Uint16Array } {
  const coder = new RangeDecoder(payload)
  const indices = new Uint32Array(count)
  const halves = new Uint16Array(count)
  codeDelta(coder, base, indices, halves, true)
  coder.finish()
  return { indices, halves }
}

/** Encodes `indices` and `halves`, or fills them when `decoding`: one description of the format for both sides. */
function codeDelta(
  coder: BitCoder,
  base: Float32Array,
  indices: Uint32Array,
  halves: Uint16Array,
  decoding: boolean,
): void {
  const models = createModels()
  codeMask(coder, models, base, indices, decoding)
  codeValues(coder, models, base, indices, halves, decoding)
}

function codeMask(
  coder: BitCoder,
  models: Models,
  base: Float32Array,
  indices: Uint32Array,
  decoding: boolean,
): void {
  const { mask, maskByScale } = models
  const values = halfValues()
  const total = base.length
  const count = indices.length
  // Densities of ones, 0..65535, over about 16 and about 256 positions.
  let near = 0
  let far = 0
  let found = 0
  for (let i = 0; found < count; i++) {
    // All that are left must be ones: then nothing needs to be said.
    if (total - i === count - found) {
      for (; found < count; i++, found++) if (decoding) indices[found] = i
      return
    }
    const half = toHalf(base[i])
    const carried = values[half] === base[i] ? 1 : 0
    const distant = 32 - Math.clz32(far >> 2)
    const bit = coder.bit(
      decoding ? 0 : indices[found] === i ? 1 : 0,
      mask,
      (carried * 16 + (32 - Math.clz32(near >> 6))) * 16 + distant,
      maskByScale,
      (carried * 32 + ((half >> 10) & 31)) * 16 + distant,
    )
    near += ((bit << 16) - bit - near) >> 4
    far += ((bit << 16) - bit - far) >> 8
    if (bit === 1) {
      if (decoding) indices[found] = i
      found++
    }
  }
}

function codeValues(
  coder: BitCoder,
  models: Models,
  base: Float32Array,
  indices: Uint32Array,
  halves: Uint16Array,
  decoding: boolean,
): void {
  const { magnitude, magnitudeByStep, sign, signByBase, detail, detailByMagnitude } = models
  const values = halfValues()
  // Mean of log2 |distance| of the values before, in absolute terms.
  let level = 20
  let signs = 0
  for (let n = 0; n < indices.length; n++) {
    const origin = base[indices[n]]
    const from = nearestFiniteHalf(origin)
    const carried = values[from] === origin ? 1 : 0
    const step = Math.max(1, (from >> 10) & 31)
    const start = toOrdinal(from)
    const distance = decoding ? 0 : toOrdinal(halves[n]) - start

    const expected = Math.min(63, Math.max(0, Math.round(2 * (level - step)) + 16))
    const size = codeMagnitude(
      coder,
      32 - Math.clz32(Math.abs(distance)),
      magnitude,
      expected * 32,
      magnitudeByStep,
      (step * 2 + carried) * 32,
    )
    if (size === 0) {
      if (decoding) halves[n] = from
      continue
    }
    const absolute = size + step
    level += (absolute - level) / 16

    const negative = coder.bit(
      distance < 0 ? 1 : 0,
      sign,
      signs,
      signByBase,
      (((from >> 15) << 1) | (signs & 1)) * 32 + Math.min(size, 31),
    )
    signs = ((signs << 1) | negative) & 15

    let amount = 1
    const below = size - 1
    const known = Math.min(DETAIL_BITS, below)
    const given = Math.abs(distance)
    for (let i = 0; i < known; i++) {
      const bit = coder.bit(
        (given >>> (below - 1 - i)) & 1,
        detail,
        (absolute << DETAIL_BITS) | (amount & 7),
        detailByMagnitude,
        (size << DETAIL_BITS) | (amount & 7),
      )
      amount = (amount << 1) | bit
    }
    amount = codeTail(coder, models, given, amount, below - known)
    if (decoding) halves[n] = landing(start + (negative === 1 ? -amount : amount))
  }
}

/** The last `open` bits of a distance: at the start and after each one, whether another one follows. */
function codeTail(
  coder: BitCoder,
  { more, moreByPlace, tail, tailByPlace }: Models,
  given: number,
  amount: number,
  open: number,
): number {
  let known = false
  for (let left = open; left > 0; left--) {
    const place = open * 16 + left
    if (!known) {
      const ones = (given & (2 ** left - 1)) === 0 ? 0 : 1
      if (coder.bit(ones, more, left, moreByPlace, place) === 0) return amount * 2 ** left
    }
    // Where a one is known to follow and only one place is left, it is there.
    const bit = left === 1 ? 1 : coder.bit((given >>> (left - 1)) & 1, tail, left, tailByPlace, place)
    known = bit === 0
    amount = 2 * amount + bit
  }
  return amount
}

/** The number of bits of a distance, 0..16, as a path of five bits through a binary tree. */
function codeMagnitude(
  coder: BitCoder,
  size: number,
  a: BitModels,
  contextA: number,
  b: BitModels,
  contextB: number,
): number {
  let node = 1
  for (let i = 4; i >= 0; i--) {
    node = (node << 1) | coder.bit((size >>> i) & 1, a, contextA + node, b, contextB + node)
  }
  const result = node & 31
  if (result > 16)
    throw new UpdateRefused('malformed', "The update's payload is damaged: a distance too large")
  return result
}

/**
 * Shortens a movement: of the values within 2^−bits of the movement's size around the new one, the one whose distance from the base has
 * the most trailing zeros, which cost next to nothing. Four bits lose less than another draw of the mini-batch changes.
 *
 * @param half the new value as binary16, finite
 * @param base the value that it replaces
 * @returns the value to send, as binary16
 */
export function shortenMovement(half: number, base: number, bits: number): number {
  const values = halfValues()
  const from = nearestFiniteHalf(base)
  const start = toOrdinal(from)
  const distance = toOrdinal(half) - start
  const tolerance = Math.abs(values[half] - values[from]) * 2 ** -bits
  for (let dropped = 31 - Math.clz32(Math.abs(distance)); dropped > 0; dropped--) {
    const ordinal = start + Math.round(distance / 2 ** dropped) * 2 ** dropped
    if (ordinal > MAX_HALF || ordinal < -MAX_HALF - 1) continue
    const shortened = fromOrdinal(ordinal)
    if (Math.abs(values[shortened] - values[half]) <= tolerance) return shortened
  }
  return half
}

function landing(ordinal: number): number {
  if (ordinal > MAX_HALF || ordinal < -MAX_HALF - 1) {
    throw new UpdateRefused('not-finite', "The update's payload leads to a value that is not finite")
  }
  return fromOrdinal(ordinal)
}
