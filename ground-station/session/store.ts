import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UserError } from '@kestrel/runtime'
import { writeAtomically } from './sealed-file.js'

/** Where sessions keep what has to outlive this process: pieces of bytes under names such as `scout-1.session` or `scout-1.frames/1`. */
export interface Store {
  /**
   * @returns undefined where there is no such piece
   * @throws Error where it cannot be read
   */
  get(name: string): Promise<Uint8Array | undefined>
  /**
   * Sets a piece. Whoever reads finds the old one or the new one, whole.
   *
   * @param options.durable also after a power cut, for the price of waiting for the disk
   * @throws Error where it could not be kept
   */
  put(name: string, bytes: Uint8Array, options?: { durable?: boolean }): Promise<void>
  /** Removes a piece, if it is there. */
  remove(name: string): Promise<void>
  /** Names that begin with `prefix`, which goes up to a `/` or lies behind the last one; in order. */
  list(prefix: string): Promise<string[]>
  close(): Promise<void>
}

/** Pieces as files of one folder. */
export class FileStore implements Store {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const file = join(this.#folder, name)
    try {
      return readFileSync(file)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw new UserError(`${file} cannot be read: ${(error as Error).message}`, { cause: error })
    }
  }

  async put(name: string, bytes: Uint8Array, options?: { durable?: boolean }): Promise<void> {
    writeAtomically(join(this.#folder, name), bytes, options)
  }

  async remove(name: string): Promise<void> {
    rmSync(join(this.#folder, name), { force: true })
  }

  async list(prefix: string): Promise<string[]> {
    const inner = prefix.endsWith('/') ? prefix.slice(0, -1) : dirname(prefix)
    const folder = join(this.#folder, inner)
    mkdirSync(folder, { recursive: true })
    return readdirSync(folder)
      .map(name => (inner === '.' ? name : `${inner}/${name}`))
      .filter(name => name.startsWith(prefix))
      .sort()
  }

  async close(): Promise<void> {}
}
