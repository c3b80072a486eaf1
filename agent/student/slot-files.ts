import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** The file operations of the store, one call each, so that tests can cut the power between any two. */
export interface SlotFiles {
  /** @returns undefined where there is no such file */
  read(path: string): Promise<Uint8Array | undefined>
  /** Writes a new file, or over an old one; what it holds may be lost until `sync`. */
  write(path: string, chunks: Uint8Array[]): Promise<void>
  /** The content of the file survives a power cut from here on. */
  sync(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** So do the names in the folder. */
  syncFolder(path: string): Promise<void>
}

export const diskFiles: SlotFiles = {
  async read(path) {
    try {
      return await readFile(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  },
  async write(path, chunks) {
    const folder = dirname(path)
    const made = await mkdir(folder, { recursive: true })
    // A folder that is new is gone after a power cut, and all in it, unless the one that it stands in was synced.
    if (made !== undefined) {
      for (let at = folder; at.length >= made.length; at = dirname(at)) await syncPath(dirname(at))
    }
    const file = await open(path, 'w')
    try {
      for (const chunk of chunks) await file.writeFile(chunk)
    } finally {
      await file.close()
    }
  },
  sync: syncPath,
  rename,
  syncFolder: syncPath,
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
