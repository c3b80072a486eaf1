import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where messages wait for the link, oldest first. */
export interface SegmentStore {
  /** What waited before the restart, oldest first. */
  list(): { key: string; bytes: number }[]
  read(key: string): Uint8Array | undefined
  write(key: string, message: Uint8Array): void
  remove(key: string): void
}

/** Forgets everything on exit. */
export function memorySegmentStore(): SegmentStore {
  const messages = new Map<string, Uint8Array>()
  return {
    list: () => [...messages].map(([key, { length }]) => ({ key, bytes: length })),
    read: key => messages.get(key),
    write: (key, message) => messages.set(key, message),
    remove: key => messages.delete(key),
  }
}

const SUFFIX = '.segment'

/**
 * One file a message. A file appears whole or not at all (written aside, then renamed), but is not forced to the disk: a segment
 * lost in a power cut is one of many.
 */
export function diskSegmentStore(folder: string): SegmentStore {
  mkdirSync(folder, { recursive: true })
  const path = (key: string) => join(folder, `${key}${SUFFIX}`)
  return {
    list() {
      const names = readdirSync(folder).sort()
      for (const name of names) if (name.endsWith('.new')) rmSync(join(folder, name))
      return names
        .filter(name => name.endsWith(SUFFIX))
        .map(name => ({
          key: name.slice(0, -SUFFIX.length),
          bytes: readFileSync(join(folder, name)).length,
        }))
    },
    read(key) {
      try {
        return readFileSync(path(key))
      } catch {
        return undefined
      }
    },
    write(key, message) {
      writeFileSync(`${path(key)}.new`, message)
      renameSync(`${path(key)}.new`, path(key))
    },
    remove: key => rmSync(path(key), { force: true }),
  }
}
