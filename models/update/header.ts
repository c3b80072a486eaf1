import { createHash } from 'node:crypto'
import { UpdateRefused } from './refused.js'

/** How the payload of an update is written; see `codecs.ts`. */
export type UpdateCodec = 'paper' | 'delta' | 'checkpoint'

export interface UpdateHeader {
  codec: UpdateCodec
  /** The version that the update builds on; 0 for a checkpoint, which builds on none. */
  baseVersion: number
  /** The version that it makes; greater than `baseVersion`. */
  version: number
  /** P of the model that it is for. */
  parameterCount: number
  /** Parameters that it carries. */
  count: number
  /** SHA-256 of the parameter vector it builds on, 32 bytes; zeros for a checkpoint. */
  baseDigest: Uint8Array
  /** SHA-256 of the parameter vector it makes, 32 bytes. */
  resultDigest: Uint8Array
}

/*
 * Layout, little-endian:
 *    0  magic "KSTU"        4  format version (1)     5  codec id          6  zero, zero
 *    8  base version u32   12  version u32           16  P u32            20  count u32
 *   24  base digest [32]   56  result digest [32]    88  payload bytes u32
 *   92  checksum [8]: the first bytes of the SHA-256 of everything else
 *  100  payload
 */
export const HEADER_BYTES = 100
const CHECKSUM_OFFSET = 92
const MAGIC = 0x5554534b
const FORMAT = 1
const codecs: UpdateCodec[] = ['paper', 'delta', 'checkpoint']
const MAX_U32 = 0xffffffff

export function writeUpdate(header: UpdateHeader, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC, true)
  bytes[4] = FORMAT
  bytes[5] = codecs.indexOf(header.codec)
  view.setUint32(8, header.baseVersion, true)
  view.setUint32(12, header.version, true)
  view.setUint32(16, header.parameterCount, true)
  view.setUint32(20, header.count, true)
  bytes.set(header.baseDigest, 24)
  bytes.set(header.resultDigest, 56)
  view.setUint32(88, payload.length, true)
  bytes.set(payload, HEADER_BYTES)
  bytes.set(checksum(bytes), CHECKSUM_OFFSET)
  return bytes
}

/** Against accidents on the way. (The digests alone would not notice a changed version number.) */
function checksum(bytes: Uint8Array): Uint8Array {
  const hash = createHash('sha256')
    .update(bytes.subarray(0, CHECKSUM_OFFSET))
    .update(bytes.subarray(HEADER_BYTES))
  return hash.digest().subarray(0, HEADER_BYTES - CHECKSUM_OFFSET)
}

/**
 * Reads the header and checks the update's form, without decoding its payload.
 *
 * @throws UpdateRefused `malformed` or `unsupported`
 */
export function readUpdateHeader(bytes: Uint8Array): UpdateHeader {
  const malformed = (what: string) =>
    new UpdateRefused('malformed', `This is no whole weight update: ${what}`)
  if (bytes.length < HEADER_BYTES)
    throw malformed(`${bytes.length} bytes, the header alone has ${HEADER_BYTES}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(0, true) !== MAGIC) throw malformed('it does not begin with KSTU')
  const codec = codecs[bytes[5]]
  if (bytes[4] !== FORMAT || codec === undefined || bytes[6] !== 0 || bytes[7] !== 0) {
    throw new UpdateRefused(
      'unsupported',
      `Weight update of format ${bytes[4]}, codec ${bytes[5]}: this side knows format ${FORMAT}, codecs 0 to ${codecs.length - 1}; ` +
        'run the same version of Kestrel on both sides',
    )
  }
  const payload = view.getUint32(88, true)
  if (bytes.length - HEADER_BYTES !== payload) {
    throw malformed(`${payload} bytes of payload announced, ${bytes.length - HEADER_BYTES} found`)
  }
  if (Buffer.compare(checksum(bytes), bytes.subarray(CHECKSUM_OFFSET, HEADER_BYTES)) !== 0) {
    throw malformed('its checksum is wrong')
  }
  const header: UpdateHeader = {
    codec,
    baseVersion: view.getUint32(8, true),
    version: view.getUint32(12, true),
    parameterCount: view.getUint32(16, true),
    count: view.getUint32(20, true),
    baseDigest: bytes.slice(24, 56),
    resultDigest: bytes.slice(56, 88),
  }
  const { baseVersion, version, count, parameterCount } = header
  if (count > parameterCount) throw malformed(`${count} of ${parameterCount} parameters`)
  if (version <= baseVersion) throw malformed(`version ${version} made from version ${baseVersion}`)
  if (
    codec === 'checkpoint' &&
    (count !== parameterCount || baseVersion !== 0 || header.baseDigest.some(byte => byte !== 0))
  ) {
    throw malformed('a checkpoint carries all parameters and builds on nothing')
  }
  return header
}

/** Whether a version number fits the format. */
export function isVersion(version: number): boolean {
  return Number.isInteger(version) && version >= 0 && version <= MAX_U32
}
