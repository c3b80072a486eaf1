/** The way to one reader. */
export interface Wire {
  /** Hands a message over; `sent` is called when it has left this process, or never, where the reader is gone. */
  send(message: Uint8Array, sent: () => void): void
}

/**
 * A program that reads labels. It has the newest frame waiting for it at most, and one on its way: whatever it does, it costs no more.
 *
 * It is sent every frame that it can take, until it asks: then it is sent one for each time that it asks. The buffers of the kernel
 * hold a second of labels and more; whoever reads slower than the camera and does not ask, reads old ones.
 */
export class Reader {
  /** Frames that were sent, and those that a newer one replaced before they could be. */
  sent = 0
  dropped = 0
  readonly #wire: Wire
  #newest: Uint8Array | undefined
  #sending = false
  #asks = false
  #asked = false

  constructor(wire: Wire) {
    this.#wire = wire
  }

  offer(message: Uint8Array): void {
    if (this.#newest !== undefined) this.dropped++
    this.#newest = message
    this.#next()
  }

  /** It wants one more; asking twice before it came is asking once. */
  ask(): void {
    this.#asks = true
    this.#asked = true
    this.#next()
  }

  #next(): void {
    const message = this.#newest
    if (message === undefined || this.#sending || (this.#asks && !this.#asked)) return
    this.#newest = undefined
    this.#sending = true
    this.#asked = false
    this.sent++
    this.#wire.send(message, () => {
      this.#sending = false
      this.#next()
    })
  }
}

/** All programs that read labels, whichever way they came. */
export class Readers {
  /** What each is told first, with its length before it. */
  readonly hello: Uint8Array
  readonly #max: number
  readonly #now = new Set<Reader>()
  #gone = { sent: 0, dropped: 0 }

  constructor(options: { hello: Uint8Array; max: number }) {
    this.hello = options.hello
    this.#max = options.max
  }

  get size(): number {
    return this.#now.size
  }

  get full(): boolean {
    return this.#now.size >= this.#max
  }

  /** Of all readers so far. */
  get totals(): { sent: number; dropped: number } {
    const total = { ...this.#gone }
    for (const { sent, dropped } of this.#now) {
      total.sent += sent
      total.dropped += dropped
    }
    return total
  }

  join(wire: Wire): Reader {
    const reader = new Reader(wire)
    this.#now.add(reader)
    return reader
  }

  leave(reader: Reader): void {
    if (!this.#now.delete(reader)) return
    this.#gone.sent += reader.sent
    this.#gone.dropped += reader.dropped
  }

  offer(message: Uint8Array): void {
    for (const reader of this.#now) reader.offer(message)
  }
}
