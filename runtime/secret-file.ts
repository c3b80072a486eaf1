import {
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, resolve, sep } from 'node:path'
import { messageOf, UserError } from './errors.js'

/**
 * Reads a file that holds a secret.
 *
 * @param what names it in errors, such as `The MAVLink signing key`
 * @throws UserError where it cannot be read, or other users could read it too
 */
export function readSecretFile(file: string, what: string): Buffer {
  let bytes: Buffer
  let mode: number
  try {
    mode = statSync(file).mode
    bytes = readFileSync(file)
  } catch (cause) {
    throw new UserError(`${what} cannot be read: ${messageOf(cause)}`, { cause })
  }
  if ((mode & 0o077) !== 0 && !isCredential(file)) {
    const found = (mode & 0o777).toString(8).padStart(4, '0')
    throw new UserError(
      `${what} ${file} is open to other users (mode ${found}): expected 0600, run chmod 600 ${file}`,
    )
  }
  return bytes
}

/**
 * Writes a file that only its owner may read (mode 0600). Whenever the power goes, the file is whole: the old one or the new one.
 *
 * @throws Error of the file system
 */
export function writeSecretFile(file: string, content: string | Uint8Array): void {
  const temporary = `${file}.new`
  // What an interrupted write left may have another mode.
  rmSync(temporary, { force: true })
  const descriptor = openSync(temporary, 'wx', 0o600)
  try {
    writeSync(descriptor, typeof content === 'string' ? Buffer.from(content) : content)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  adoptOwner(temporary)
  renameSync(temporary, file)
}

/** What root makes in a folder of a service belongs to that: `sudo` must not lock it out. */
export function adoptOwner(path: string): void {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = statSync(dirname(path))
  if (uid !== 0) chownSync(path, uid, gid)
}

/** systemd guards its credentials (LoadCredential=) by an access list, which shows in the mode as the group's. */
function isCredential(file: string): boolean {
  const folder = process.env.CREDENTIALS_DIRECTORY
  return folder !== undefined && folder !== '' && resolve(file).startsWith(resolve(folder) + sep)
}
