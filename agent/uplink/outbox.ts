import { type Clock, type Log, messageOf, RealClock } from '@kestrel/runtime'
import { memorySegmentStore, type SegmentStore } from './segment-store.js'

export interface OutboxOptions {
  /** Delivers one message; resolves when the broker has it. */
  publish: (message: Uint8Array) => Promise<void>
  /**
   * Names a message as the ground's receipts do; undefined where none will come, and the broker's word has to do.
   *
   * @throws Error where the message cannot be read: it is dropped
   */
  idOf?: (message: Uint8Array) => string | undefined
  store?: SegmentStore
  /** Bounds of what waits; beyond them the oldest go. */
  maxSegments?: number
  maxBytes?: number
  clock?: Clock
  log: Log
}

/** Segments that the broker has and the ground has not confirmed. More only fill the queues of a ground station that cannot follow. */
const WINDOW = 4

/** A segment without a receipt for this long is sent again, ms: longer than labels and a training phase take. */
const RESEND_MS = 60_000

interface Entry {
  key: string
  bytes: number
  /** `sent`: the broker has it, the ground has not said so. */
  state: 'waiting' | 'sending' | 'sent'
  /** Once it was sent. */
  id?: string
  sentMs: number
}

/**
 * Encoded segments on their way to the ground: bounded, one at a time, kept until the ground has them. The newest goes first: after
 * an outage the frames that still help are those within T_horizon, and of them the latest show what the drone flies over now; what is
 * older follows when nothing newer waits.
 */
export class Outbox {
  readonly #options: Required<OutboxOptions>
  /** Oldest first. */
  #entries: Entry[]
  #bytes: number
  #nextKey: number
  #dropped = 0
  #unconfirmed = 0
  #sent = 0
  #up = false
  /** The ground gives receipts: one has come since the link is up. */
  #isHeard = false
  #sending: Promise<void> | undefined
  #waiters: (() => void)[] = []

  constructor(options: OutboxOptions) {
    this.#options = {
      idOf: () => undefined,
      store: memorySegmentStore(),
      maxSegments: 64,
      maxBytes: 32 * 1024 * 1024,
      clock: new RealClock(),
      ...options,
    }
    const kept = this.#options.store.list()
    this.#entries = kept.map(({ key, bytes }) => ({ key, bytes, state: 'waiting', sentMs: 0 }))
    this.#bytes = kept.reduce((sum, { bytes }) => sum + bytes, 0)
    this.#nextKey = Math.max(0, ...kept.map(({ key }) => Number(key) + 1).filter(Number.isFinite))
    this.#trim()
  }

  /** Segments that the ground does not have, as far as is known. */
  get length(): number {
    return this.#entries.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Segments that the ground will never have: pushed out of the full box before they were sent, or unreadable. */
  get dropped(): number {
    return this.#dropped
  }

  /** Segments pushed out after they were sent and before the ground confirmed them: it may have them. */
  get unconfirmed(): number {
    return this.#unconfirmed
  }

  get sent(): number {
    return this.#sent
  }

  /** Takes an encoded message. Where the disk refuses it, it is counted as dropped. */
  push(message: Uint8Array): void {
    const { store, clock, log } = this.#options
    const key = String(this.#nextKey++).padStart(12, '0')
    const late = clock.nowMs() - RESEND_MS
    for (const entry of this.#entries)
      if (entry.state === 'sent' && entry.sentMs < late) entry.state = 'waiting'
    try {
      store.write(key, message)
    } catch (error) {
      this.#dropped += 1
      log.warn(`A segment could not be kept for sending: ${messageOf(error)}`)
      return
    }
    this.#entries.push({ key, bytes: message.length, state: 'waiting', sentMs: 0 })
    this.#bytes += message.length
    this.#trim()
    this.#send()
  }

  /** The ground has done with a message: it need not be kept. */
  receipt(id: string): void {
    this.#isHeard = true
    const entry = this.#entries.find(other => other.id === id)
    if (entry !== undefined) {
      this.#sent += 1
      this.#remove(entry)
    }
    this.#send()
    this.#wake()
  }

  /** Bytes that may wait from here on; the oldest go until it fits, all but the newest. */
  limit(maxBytes: number): void {
    this.#options.maxBytes = maxBytes
    this.#trim()
  }

  /** Whatever has no receipt is sent again: who had it is gone. */
  resend(): void {
    for (const entry of this.#entries) if (entry.state === 'sent') entry.state = 'waiting'
    this.#send()
  }

  /** The link came up or went down. */
  setUp(up: boolean): void {
    this.#up = up
    if (!up) {
      this.#isHeard = false
      // A broker that forgets, or a ground station that died: only a receipt says that a segment arrived.
      this.resend()
    }
    this.#send()
    this.#wake()
  }

  /** Resolves when nothing is under way any more: all gone, or the link is down. A ground that gave receipts is waited for. */
  async idle(): Promise<void> {
    const isUnderWay = () =>
      this.#sending !== undefined ||
      (this.#up && this.#isHeard && this.#entries.some(({ state }) => state === 'sent'))
    while (isUnderWay()) await new Promise<void>(resolve => this.#waiters.push(resolve))
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  #next(): Entry | undefined {
    if (!this.#up || this.#entries.filter(({ state }) => state === 'sent').length >= WINDOW) return undefined
    return this.#entries.findLast(({ state }) => state === 'waiting')
  }

  #send(): void {
    if (this.#sending !== undefined || this.#next() === undefined) return
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined
      this.#wake()
    })
  }

  async #sendAll(): Promise<void> {
    const { store, publish, clock, log } = this.#options
    for (let entry = this.#next(); entry !== undefined; entry = this.#next()) {
      const message = store.read(entry.key)
      if (message === undefined || !this.#identify(entry, message)) {
        this.#dropped += 1
        this.#remove(entry)
        continue
      }
      entry.state = 'sending'
      try {
        await publish(message)
      } catch (error) {
        entry.state = 'waiting'
        // It waits for the next time the link comes up, or the next segment.
        log.warn(`A segment was not delivered and waits: ${messageOf(error)}`)
        return
      }
      // The receipt may have been faster than the broker's word.
      if (!this.#entries.includes(entry)) continue
      if (entry.id === undefined) {
        this.#sent += 1
        this.#remove(entry)
      } else {
        entry.state = 'sent'
        entry.sentMs = clock.nowMs()
      }
    }
  }

  #identify(entry: Entry, message: Uint8Array): boolean {
    const { idOf, log } = this.#options
    try {
      entry.id = idOf(message)
      return true
    } catch (error) {
      log.warn(`A stored segment cannot be read and is dropped: ${messageOf(error)}`)
      return false
    }
  }

  /** The newest stays, and so does what is on its way: it would arrive and be counted as dropped. */
  #trim(): void {
    const { maxSegments, maxBytes, log } = this.#options
    let dropped = 0
    while (this.#entries.length > maxSegments || this.#bytes > maxBytes) {
      const oldest = this.#entries.slice(0, -1).find(({ state }) => state !== 'sending')
      if (oldest === undefined) break
      if (oldest.state === 'sent' || oldest.id !== undefined) this.#unconfirmed += 1
      else this.#dropped += 1
      this.#remove(oldest)
      dropped += 1
    }
    if (dropped > 0) {
      log.warn(
        `The outbox is full: the oldest ${dropped === 1 ? 'segment was' : `${dropped} segments were`} dropped`,
      )
    }
  }

  #remove(entry: Entry): void {
    this.#entries = this.#entries.filter(other => other !== entry)
    this.#bytes -= entry.bytes
    this.#options.store.remove(entry.key)
  }
}
