import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { UserError } from '@kestrel/runtime'

const DIGEST_BYTES = 32

/** Magic (8 bytes), length of the header (u32), header (JSON), the sections, SHA-256 of it all. */
export function seal(magic: string, header: object, sections: ArrayBufferView[]): Uint8Array {
  const text = Buffer.from(JSON.stringify(header))
  const size = Buffer.alloc(4)
  size.writeUInt32LE(text.length)
  const parts = sections.map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength),
  )
  const body = Buffer.concat([Buffer.from(magic), size, text, ...parts])
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}

/**
 * @param options.source names the bytes in messages
 * @param options.what that the bytes should be, such as `session state`
 * @returns the header as it was given to `seal`, unchecked, and all sections together
 * @throws UserError that says in what way the bytes are not what they should be
 */
export function unseal(
  bytes: Uint8Array,
  { magic, source, what }: { magic: string; source: string; what: string },
): { header: unknown; sections: Buffer } {
  const fail = (why: string): never => {
    throw new UserError(`${source} cannot be used: ${why}`)
  }
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = magic.length + 4
  if (data.length < start + DIGEST_BYTES || data.toString('latin1', 0, magic.length) !== magic)
    return fail(`it is no ${what} of this version of Kestrel`)
  const body = data.subarray(0, -DIGEST_BYTES)
  if (!createHash('sha256').update(body).digest().equals(data.subarray(-DIGEST_BYTES)))
    return fail('its checksum is wrong (cut short or damaged)')
  const headerEnd = start + data.readUInt32LE(magic.length)
  try {
    return { header: JSON.parse(body.toString('utf8', start, headerEnd)), sections: body.subarray(headerEnd) }
  } catch {
    return fail('its header is not as this version of Kestrel writes it')
  }
}

/**
 * Writes a file so that there is the old one or the new one, never half of either. Only its owner may read it.
 *
 * @param options.durable also after a power cut, for the price of waiting for the disk
 */
export function writeAtomically(
  file: string,
  bytes: Uint8Array,
  { durable = true }: { durable?: boolean } = {},
): void {
  mkdirSync(dirname(file), { recursive: true })
  const temporary = `${file}.new`
  const descriptor = openSync(temporary, 'w', 0o600)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at)
    if (durable) fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(temporary, file)
  if (!durable) return
  const folder = openSync(dirname(file), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
