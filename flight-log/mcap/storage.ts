import { mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A file that a log is written to. Calls must not overlap. */
export interface LogHandle {
  /** Writes all of it at a position, or throws. */
  write(pieces: Uint8Array[], position: number): Promise<void>
  truncate(length: number): Promise<void>
  /** To the disk itself, not only to the system's memory. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** Where logs are written; tests give one that fails. */
export interface LogStorage {
  /** Makes a file anew, and its folder. @throws Error where it exists or cannot be made */
  create(path: string): Promise<LogHandle>
  /** Opens a file to append to. */
  open(path: string): Promise<LogHandle>
  remove(path: string): Promise<void>
}

/** Files of this machine; nothing here blocks the thread. */
export const diskStorage: LogStorage = {
  async create(path) {
    await mkdir(dirname(path), { recursive: true })
    return openHandle(path, 'wx')
  },
  open: path => openHandle(path, 'r+'),
  remove: path => rm(path),
}

/** The most pieces that one call of writev takes (IOV_MAX of Linux). */
const MAX_PIECES = 1024

async function openHandle(path: string, flags: string): Promise<LogHandle> {
  const handle = await open(path, flags)
  return {
    async write(pieces, position) {
      let at = position
      for (let from = 0; from < pieces.length; from += MAX_PIECES) {
        let rest = pieces.slice(from, from + MAX_PIECES).filter(({ length }) => length > 0)
        while (rest.length > 0) {
          const { bytesWritten } = await handle.writev(rest, at)
          // A disk that is nearly full takes a part; the next call says what is wrong.
          if (bytesWritten === 0) throw new Error('nothing was written')
          at += bytesWritten
          rest = after(rest, bytesWritten)
        }
      }
    },
    truncate: length => handle.truncate(length),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  }
}

/** What is left of pieces when their first bytes are written. */
function after(pieces: Uint8Array[], bytes: number): Uint8Array[] {
  let i = 0
  let left = bytes
  while (i < pieces.length && left >= pieces[i].length) left -= pieces[i++].length
  return left === 0 ? pieces.slice(i) : [pieces[i].subarray(left), ...pieces.slice(i + 1)]
}
