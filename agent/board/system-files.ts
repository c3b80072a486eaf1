import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the kernel tells in /proc and /sys. Tests give a folder with a tree of their own. */
export class SystemFiles {
  readonly #root: string

  constructor(root = '/') {
    this.#root = root
  }

  /** The trimmed text of a file; undefined where it is absent or does not answer, as sensors do that are powered down. */
  text(path: string): string | undefined {
    try {
      // Strings of the device tree end with a zero byte.
      return readFileSync(join(this.#root, path), 'utf8').replaceAll('\0', '').trim()
    } catch {
      return undefined
    }
  }

  /** A decimal or 0x number; undefined where there is none. */
  number(path: string): number | undefined {
    const text = this.text(path)
    if (text === undefined || text === '') return undefined
    const value = Number(text)
    return Number.isFinite(value) ? value : undefined
  }

  /** Paths of the entries of a folder whose names match, in the order of their numbers. */
  list(folder: string, names: RegExp): string[] {
    try {
      return readdirSync(join(this.#root, folder))
        .filter(name => names.test(name))
        .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
        .map(name => join(folder, name))
    } catch {
      return []
    }
  }
}
