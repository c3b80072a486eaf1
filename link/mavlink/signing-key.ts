import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { UserError } from '@kestrel/runtime'

const KEY_BYTES = 32
const MOST_BYTES = 4096

/**
 * Reads the shared secret of MAVLink 2 signing: 32 bytes as they are, or a line of text whose SHA-256 is the key, which is what
 * Mission Planner makes of a passphrase.
 *
 * @throws UserError where the file cannot be read, is open to other users, or holds neither
 */
export function loadSigningKey(file: string): Buffer {
  let bytes: Buffer
  let mode: number
  try {
    mode = statSync(file).mode
    bytes = readFileSync(file)
  } catch (cause) {
    throw new UserError(`Cannot read the MAVLink signing key: ${(cause as Error).message}`, { cause })
  }
  if ((mode & 0o077) !== 0 && !isCredential(file)) {
    const found = (mode & 0o777).toString(8).padStart(4, '0')
    throw new UserError(
      `The MAVLink signing key ${file} is open to other users (mode ${found}): expected 0600, run chmod 600 ${file}`,
    )
  }
  // 32 random bytes that are all printable do not happen (1 of 10¹³ keys).
  const text = bytes.toString('utf8').replace(/[\r\n]+$/, '')
  const isText = /^[^\p{Cc}\ufffd]+$/u.test(text) && bytes.length <= MOST_BYTES
  if (isText) return createHash('sha256').update(text).digest()
  if (bytes.length === KEY_BYTES) return bytes
  throw new UserError(
    `The MAVLink signing key ${file} has ${bytes.length} bytes: expected ${KEY_BYTES} of them (head -c 32 /dev/urandom > ${file}), or a passphrase as text, as in Mission Planner`,
  )
}

/** systemd guards its credentials (LoadCredential=) by an access list, which shows in the mode as the group's. */
function isCredential(file: string): boolean {
  const folder = process.env.CREDENTIALS_DIRECTORY
  return folder !== undefined && folder !== '' && resolve(file).startsWith(resolve(folder) + sep)
}
