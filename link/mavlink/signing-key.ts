import { createHash } from 'node:crypto'
import { readSecretFile, UserError } from '@kestrel/runtime'

const KEY_BYTES = 32
const MOST_BYTES = 4096

/**
 * Reads the shared secret of MAVLink 2 signing: 32 bytes as they are, or a line of text whose SHA-256 is the key, which is what
 * Mission Planner makes of a passphrase.
 *
 * @throws UserError where the file cannot be read, is open to other users, or holds neither
 */
export function loadSigningKey(file: string): Buffer {
  const bytes = readSecretFile(file, 'The MAVLink signing key')
  // 32 random bytes that are all printable do not happen (1 of 10¹³ keys).
  const text = bytes.toString('utf8').replace(/[\r\n]+$/, '')
  const isText = /^[^\p{Cc}\ufffd]+$/u.test(text) && bytes.length <= MOST_BYTES
  if (isText) return createHash('sha256').update(text).digest()
  if (bytes.length === KEY_BYTES) return bytes
  throw new UserError(
    `The MAVLink signing key ${file} has ${bytes.length} bytes: expected ${KEY_BYTES} of them (head -c 32 /dev/urandom > ${file}), or a passphrase as text, as in Mission Planner`,
  )
}
