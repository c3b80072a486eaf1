import { type FileHandle, open } from 'node:fs/promises'
import type { IReadable } from '@mcap/core'

/** A file, read where it is asked for; `tail` takes the place of what lies behind its first `length` bytes. */
export class FileReadable implements IReadable {
  readonly #handle: FileHandle
  #length: number
  #tail: Uint8Array = new Uint8Array(0)

  private constructor(handle: FileHandle, length: number) {
    this.#handle = handle
    this.#length = length
  }

  static async open(path: string): Promise<FileReadable> {
    const handle = await open(path, 'r')
    return new FileReadable(handle, (await handle.stat()).size)
  }

  get bytes(): number {
    return this.#length
  }

  replaceTail(length: number, tail: Uint8Array): void {
    this.#length = length
    this.#tail = tail
  }

  async size(): Promise<bigint> {
    return BigInt(this.#length + this.#tail.length)
  }

  async read(offset: bigint, size: bigint): Promise<Uint8Array> {
    const from = Number(offset)
    const count = Number(size)
    if (from + count > this.#length + this.#tail.length) {
      throw new RangeError(`${count} bytes at ${from} lie beyond the end of the file`)
    }
    const bytes = Buffer.allocUnsafe(count)
    const ofFile = Math.max(0, Math.min(count, this.#length - from))
    for (let done = 0; done < ofFile; ) {
      const { bytesRead } = await this.#handle.read(bytes, done, ofFile - done, from + done)
      if (bytesRead === 0) throw new RangeError('the file has become shorter')
      done += bytesRead
    }
    if (count > ofFile) {
      const at = from + ofFile - this.#length
      bytes.set(this.#tail.subarray(at, at + count - ofFile), ofFile)
    }
    return bytes
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}
