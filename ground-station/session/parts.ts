import type { OutgoingUpdate } from './chain.js'

/** Largest piece of an update in one message, bytes: what a radio of 32 kbit/s carries in 16 s, so that other messages get between. */
export const PART_BYTES = 64 * 1024

/** One Update message of link/proto, as `encodeEnvelope` takes it. Parts are numbered 0 … parts − 1. */
export interface UpdatePart {
  baseVersion: number
  version: number
  part: number
  parts: number
  data: Uint8Array
}

/** Cuts an update into messages; a small one is one message. */
export function updateParts(
  { baseVersion, version, bytes }: Pick<OutgoingUpdate, 'baseVersion' | 'version' | 'bytes'>,
  partBytes = PART_BYTES,
): UpdatePart[] {
  const parts = Math.max(1, Math.ceil(bytes.length / partBytes))
  return Array.from({ length: parts }, (_, part) => ({
    baseVersion,
    version,
    part,
    parts,
    data: bytes.subarray(part * partBytes, (part + 1) * partBytes),
  }))
}
