import { type BitCoder, BitModels, RangeDecoder, RangeEncoder } from './range-coder.js'

/*
 * The codec "checkpoint": all P values as binary16. Sign, exponent and the first two bits of the mantissa are predicted from the same
 * part of the value before (the values of a layer have similar sizes); the eight low bits are as good as random.
 */

export function encodeCheckpoint(halves: Uint16Array): Uint8Array {
  const coder = new RangeEncoder()
  codeValues(coder, halves, false)
  return coder.finish()
}

/** @throws UpdateRefused `malformed` */
export function decodeCheckpoint(payload: Uint8Array, parameterCount: number): Uint16Array {
  const coder = new RangeDecoder(payload)
  const halves = new Uint16Array(parameterCount)
  codeValues(coder, halves, true)
  coder.finish()
  return halves
}

function codeValues(coder: BitCoder, halves: Uint16Array, decoding: boolean): void {
  const alone = new BitModels(256)
  const afterPrevious = new BitModels(32 * 256)
  let previous = 0
  for (let i = 0; i < halves.length; i++) {
    const value = halves[i]
    let node = 1
    for (let bit = 15; bit >= 8; bit--) {
      node = (node << 1) | coder.bit((value >>> bit) & 1, alone, node, afterPrevious, previous * 256 + node)
    }
    const low = coder.raw(value & 255, 8)
    if (decoding) halves[i] = ((node & 255) << 8) | low
    previous = (node >> 2) & 31
  }
}
