import { type Log, messageOf } from '@kestrel/runtime'
import { memorySegmentStore, type SegmentStore } from './segment-store.js'

export interface OutboxOptions {
  /** Delivers one message; resolves when the broker has it. */
  publish: (message: Uint8Array) => Promise<void>
  store?: SegmentStore
  /** Bounds of what waits; beyond them the oldest go. */
  maxSegments?: number
  maxBytes?: number
  log: Log
}

/** Encoded segments on their way to the ground: bounded, oldest first, one at a time, kept while the link is down. */
export class Outbox {
  readonly #options: Required<OutboxOptions>
  #waiting: { key: string; bytes: number }[]
  #bytes: number
  #nextKey: number
  #dropped = 0
  #sent = 0
  #up = false
  #sending: Promise<void> | undefined

  constructor(options: OutboxOptions) {
    this.#options = {
      store: memorySegmentStore(),
      maxSegments: 64,
      maxBytes: 32 * 1024 * 1024,
      ...options,
    }
    this.#waiting = this.#options.store.list()
    this.#bytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0)
    this.#nextKey = Math.max(0, ...this.#waiting.map(({ key }) => Number(key) + 1).filter(Number.isFinite))
    this.#trim()
  }

  /** Segments that wait. */
  get length(): number {
    return this.#waiting.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Segments pushed out of the full box so far. */
  get dropped(): number {
    return this.#dropped
  }

  get sent(): number {
    return this.#sent
  }

  /** Takes an encoded message. Where the disk refuses it, it is counted as dropped. */
  push(message: Uint8Array): void {
    const { store, log } = this.#options
    const key = String(this.#nextKey++).padStart(12, '0')
    try {
      store.write(key, message)
    } catch (error) {
      this.#dropped += 1
      log.warn(`A segment could not be kept for sending: ${messageOf(error)}`)
      return
    }
    this.#waiting.push({ key, bytes: message.length })
    this.#bytes += message.length
    this.#trim()
    this.#send()
  }

  /** Bytes that may wait from here on; the oldest go until it fits, all but the newest. */
  limit(maxBytes: number): void {
    this.#options.maxBytes = maxBytes
    this.#trim()
  }

  /** The link came up or went down. */
  setUp(up: boolean): void {
    this.#up = up
    this.#send()
  }

  /** Resolves when nothing is being sent any more: all gone, or the link is down. */
  async idle(): Promise<void> {
    while (this.#sending !== undefined) await this.#sending
  }

  #send(): void {
    if (!this.#up || this.#sending !== undefined || this.#waiting.length === 0) return
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined
    })
  }

  async #sendAll(): Promise<void> {
    const { store, publish, log } = this.#options
    while (this.#up && this.#waiting.length > 0) {
      const first = this.#waiting[0]
      const message = store.read(first.key)
      if (message === undefined) {
        this.#dropped += 1
      } else {
        try {
          await publish(message)
          this.#sent += 1
        } catch (error) {
          // It waits for the next time the link comes up, or the next segment.
          log.warn(`A segment was not delivered and waits: ${messageOf(error)}`)
          return
        }
      }
      // It may have been pushed out while it was on its way.
      if (this.#waiting[0] === first) this.#remove()
    }
  }

  #trim(): void {
    const { maxSegments, maxBytes, log } = this.#options
    let dropped = 0
    while (this.#waiting.length > maxSegments || (this.#bytes > maxBytes && this.#waiting.length > 1)) {
      this.#remove()
      dropped += 1
    }
    if (dropped > 0) {
      this.#dropped += dropped
      log.warn(
        `The outbox is full: the oldest ${dropped === 1 ? 'segment was' : `${dropped} segments were`} dropped`,
      )
    }
  }

  #remove(): void {
    const { key, bytes } = this.#waiting.shift()!
    this.#bytes -= bytes
    this.#options.store.remove(key)
  }
}
