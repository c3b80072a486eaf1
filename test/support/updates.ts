import { createHash } from 'node:crypto'

/** Bytes of an update before its payload. */
export const HEADER_BYTES = 100

/** Puts the checksum of an update right after a test has changed it, so that the checks behind it are reached too. */
export function seal(bytes: Uint8Array): Uint8Array {
  if (bytes.length < HEADER_BYTES) return bytes
  const sealed = bytes.slice()
  const hash = createHash('sha256').update(sealed.subarray(0, 92)).update(sealed.subarray(100))
  sealed.set(hash.digest().subarray(0, 8), 92)
  return sealed
}

/** The update with another payload, its length and checksum put right. */
export function withPayload(bytes: Uint8Array, payload: Uint8Array): Uint8Array {
  const update = new Uint8Array(HEADER_BYTES + payload.length)
  update.set(bytes.subarray(0, HEADER_BYTES))
  update.set(payload, HEADER_BYTES)
  new DataView(update.buffer).setUint32(88, payload.length, true)
  return seal(update)
}
