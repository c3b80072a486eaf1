import { gunzipSync, gzipSync } from 'node:zlib'
import { messageOf } from '@kestrel/runtime/errors'
import { UpdateRefused } from './refused.js'

/*
 * The reference format of the AMS paper (arXiv 2006.06628): a bit for each parameter that tells whether it is in I_n, then
 * the new values as binary16, all of it under gzip −9. Bit i is bit i mod 8 of byte ⌊i/8⌋, values are little-endian.
 */

export function encodePaper(base: Float32Array, indices: Uint32Array, halves: Uint16Array): Uint8Array {
  const mask = Math.ceil(base.length / 8)
  const plain = new Uint8Array(mask + 2 * halves.length)
  for (const index of indices) plain[index >> 3] |= 1 << (index & 7)
  const view = new DataView(plain.buffer, mask)
  for (let i = 0; i < halves.length; i++) view.setUint16(2 * i, halves[i], true)
  return gzipSync(plain, { level: 9 })
}

/** @throws UpdateRefused `malformed`; never inflates to more than the announced size */
export function decodePaper(
  payload: Uint8Array,
  base: Float32Array,
  count: number,
): { indices: Uint32Array; halves: Uint16Array } {
  const mask = Math.ceil(base.length / 8)
  const plain = inflate(payload, mask + 2 * count)
  const indices = new Uint32Array(count)
  let found = 0
  for (let at = 0; at < mask; at++) {
    for (let bits = plain[at]; bits !== 0; bits &= bits - 1) {
      const index = 8 * at + 31 - Math.clz32(bits & -bits)
      if (index >= base.length || found === count) {
        throw new UpdateRefused('malformed', `The update's mask has more than its ${count} parameters`)
      }
      indices[found++] = index
    }
  }
  if (found !== count) {
    throw new UpdateRefused('malformed', `The update's mask has ${found} parameters, its header ${count}`)
  }
  const halves = new Uint16Array(count)
  const view = new DataView(plain.buffer, plain.byteOffset + mask, 2 * count)
  for (let i = 0; i < count; i++) halves[i] = view.getUint16(2 * i, true)
  return { indices, halves }
}

function inflate(payload: Uint8Array, size: number): Uint8Array {
  let result: { buffer: Uint8Array; engine: { bytesWritten: number } }
  try {
    // zlib refuses a limit of 0; the limit only has to stop bombs, the size is checked below.
    const options = { maxOutputLength: Math.max(1, size), info: true }
    result = gunzipSync(payload, options) as unknown as typeof result
  } catch (cause) {
    throw new UpdateRefused('malformed', `The update's payload cannot be unpacked (${messageOf(cause)})`)
  }
  if (result.buffer.length !== size || result.engine.bytesWritten !== payload.length) {
    throw new UpdateRefused(
      'malformed',
      `The update's payload unpacks to ${result.buffer.length} bytes of ${size}, from ${result.engine.bytesWritten} of ${payload.length}`,
    )
  }
  return result.buffer
}
