import { createHash, type Hash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { LabelMap } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'

/**
 * The teacher's labels of every frame of the video, made once and read by every scheme. They lie deflated in a temporary
 * file, so that memory does not grow with the video.
 */
export class TruthStore {
  readonly #folder: string
  readonly #file: number
  readonly #entries: { offset: number; length: number }[] = []
  readonly #hash: Hash = createHash('sha256')
  #end = 0
  #size: { width: number; height: number } | undefined

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'kestrel-truth-'))
    this.#file = openSync(join(this.#folder, 'labels'), 'w+')
    // Without a name it is gone with the process, however that ends. (Windows keeps the names of open files.)
    if (process.platform !== 'win32') rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Frames held. */
  get count(): number {
    return this.#entries.length
  }

  /** Size of all label maps, pixels. */
  get size(): { width: number; height: number } {
    if (this.#size === undefined) throw new Error('no label map was stored yet')
    return this.#size
  }

  /**
   * Appends the labels of the next frame.
   *
   * @throws UserError when its size is not that of the maps before it
   */
  append(map: LabelMap): void {
    const { width, height } = map
    this.#size ??= { width, height }
    if (this.#size.width !== width || this.#size.height !== height) {
      throw new UserError(
        `The labels of frame ${this.count} are ${width}×${height}, those before it ` +
          `${this.#size.width}×${this.#size.height}. All label maps of one video must have one size: scale them alike.`,
      )
    }
    this.#hash.update(map.data)
    const packed = deflateRawSync(map.data, { level: 1 })
    writeSync(this.#file, packed, 0, packed.length, this.#end)
    this.#entries.push({ offset: this.#end, length: packed.length })
    this.#end += packed.length
  }

  /** Labels of frame `index`: class index per pixel, row-major. */
  read(index: number): LabelMap {
    const { offset, length } = this.#entries[index]
    const packed = Buffer.alloc(length)
    readSync(this.#file, packed, 0, length, offset)
    const { width, height } = this.size
    return {
      width,
      height,
      data: new Uint8Array(inflateRawSync(packed, { maxOutputLength: width * height })),
    }
  }

  /** SHA-256 over all labels in order, hexadecimal. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }

  /** Removes the temporary file. */
  dispose(): void {
    closeSync(this.#file)
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
