import type { Update } from '@kestrel/link'

/** Most parts of one update. */
const MAX_PARTS = 1024

/** Puts updates together that came in parts, in any order; only one is in the making at a time. */
export class UpdateParts {
  readonly #maxBytes: number
  #version = 0
  #sending = 0n
  #parts: (Uint8Array | undefined)[] = []
  #bytes = 0

  /** @param options.parameterCount bounds what an update may weigh: as much as the parameters themselves, and some */
  constructor(options: { parameterCount: number }) {
    this.#maxBytes = 4 * options.parameterCount + 65536
  }

  /**
   * @param sending tells one sending of a version from another, where they are signed: parts of two do not mix
   * @returns the whole update once its last part is there, undefined before
   * @throws RangeError where the part belongs to no update that could be put together
   */
  add(update: Update, sending = 0n): Uint8Array | undefined {
    const { version, part, data } = update
    const parts = Math.max(1, update.parts)
    if (part >= parts || parts > MAX_PARTS) {
      throw new RangeError(`part ${part + 1} of ${parts}; at most ${MAX_PARTS} parts are taken`)
    }
    if (version !== this.#version || sending !== this.#sending || parts !== this.#parts.length) {
      this.#begin(version, parts)
      this.#sending = sending
    }
    this.#bytes += data.length - (this.#parts[part]?.length ?? 0)
    this.#parts[part] = data
    if (this.#bytes > this.#maxBytes) {
      const bytes = this.#bytes
      this.#begin(0, 0)
      throw new RangeError(`${bytes} bytes; an update of this student has at most ${this.#maxBytes}`)
    }
    const whole = this.#parts.filter(piece => piece !== undefined)
    if (whole.length < parts) return undefined
    this.#begin(0, 0)
    return parts === 1 ? data : Buffer.concat(whole)
  }

  #begin(version: number, parts: number): void {
    this.#version = version
    this.#parts = new Array(parts).fill(undefined)
    this.#bytes = 0
  }
}
