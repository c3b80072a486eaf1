import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '@kestrel/runtime'
import { isSigned, SIGNATURE_BYTES, senderOf } from './frames.js'

/** Timestamps count 10 µs from here (MAVLink 2, message signing). */
const EPOCH_MS = Date.UTC(2015, 0, 1)
const TICKS_PER_MS = 100
const MAX_TICKS = 2 ** 48 - 1

/** A stream that was not heard before may be this old at most: 1 minute. */
const MOST_BEHIND = 60_000 * TICKS_PER_MS

/** Streams (system, component, link) that are told apart. Only holders of the key can make one. */
const MOST_STREAMS = 256

/** What is reserved beyond the present, renewed when half of it is used; so far ahead a restart after a power cut may begin. */
const RESERVED_TICKS = 30_000 * TICKS_PER_MS
/** The least that is reserved while our time is ahead of the clock, packets. */
const RESERVED_AHEAD = 1000

/** RADIO_STATUS (#109) and RADIO (#166): made by the radio itself, which has no key; other implementations take them unsigned too. */
const unsignedIds = new Set([109, 166])

export interface SigningOptions {
  /** 32 bytes. */
  key: Buffer
  /** Of what we send, 0..255: tells apart several ways between the same two. */
  linkId: number
  clock: Clock
  /** Where our time survives a restart. */
  store: SigningStore
}

export interface SigningStore {
  /** @returns undefined where nothing was kept */
  load(): number | undefined
  /** Must not throw. */
  save(ticks: number): void
}

/** Frames that were refused, by reason. */
export interface RefusedFrames {
  unsigned: number
  wrongSignature: number
  /** Seen before, or older than what was seen. */
  replayed: number
  /** The first of its stream, and more than a minute old. */
  old: number
}

/**
 * Signs what is sent and checks what is heard (MAVLink 2, https://mavlink.io/en/guide/message_signing.html). Timestamps come from a
 * clock of our own, in steps of 10 µs: strictly increasing over packets and restarts, and never behind a partner's.
 */
export class Signing {
  readonly refused: RefusedFrames = { unsigned: 0, wrongSignature: 0, replayed: 0, old: 0 }
  readonly #options: SigningOptions
  /** The newest timestamp of each stream. */
  readonly #streams = new Map<number, number>()
  /** The newest timestamp that we used or accepted. */
  #ticks: number
  /** When the reservation is to be renewed. */
  #renewAt = 0

  constructor(options: SigningOptions) {
    this.#options = options
    this.#ticks = Math.max(0, options.store.load() ?? 0)
    this.#advance(this.#clockTicks())
  }

  /** @param frame whose flags say that a signature follows @returns the frame with its signature */
  sign(frame: Buffer): Buffer {
    this.#advance(Math.max(this.#clockTicks(), this.#ticks + 1))
    const signed = Buffer.alloc(frame.length + SIGNATURE_BYTES)
    frame.copy(signed)
    signed[frame.length] = this.#options.linkId
    signed.writeUIntLE(this.#ticks, frame.length + 1, 6)
    this.#hash(signed).copy(signed, frame.length + 7)
    return signed
  }

  /** Whether a whole frame may be believed; refusals are counted. Each frame is believed once. */
  accepts(frame: Buffer, id: number): boolean {
    if (!isSigned(frame)) return unsignedIds.has(id) || this.#refuse('unsigned')
    if (!timingSafeEqual(this.#hash(frame), frame.subarray(frame.length - 6))) {
      return this.#refuse('wrongSignature')
    }
    const at = frame.length - SIGNATURE_BYTES
    const { system, component } = senderOf(frame)
    const stream = (system << 16) | (component << 8) | frame[at]
    const ticks = frame.readUIntLE(at + 1, 6)
    const last = this.#streams.get(stream)
    if (last !== undefined && ticks <= last) return this.#refuse('replayed')
    if (last === undefined) {
      if (ticks + MOST_BEHIND < Math.max(this.#ticks, this.#clockTicks())) return this.#refuse('old')
      // To forget one would let its packets be replayed.
      if (this.#streams.size >= MOST_STREAMS) return this.#refuse('old')
    }
    this.#streams.set(stream, ticks)
    // A partner with a better clock than ours sets it.
    if (ticks > this.#ticks) this.#advance(ticks)
    return true
  }

  /** Keeps our time exactly, so that the next start need not leap ahead. */
  stop(): void {
    this.#options.store.save(this.#ticks)
  }

  /** SHA-256 over the key, the frame, link id and timestamp; the first 48 bits. */
  #hash(signed: Buffer): Buffer {
    const { key } = this.#options
    return createHash('sha256').update(key).update(signed.subarray(0, -6)).digest().subarray(0, 6)
  }

  #clockTicks(): number {
    return Math.floor((this.#options.clock.nowMs() - EPOCH_MS) * TICKS_PER_MS)
  }

  /** What is used was reserved before. */
  #advance(ticks: number): void {
    this.#ticks = Math.min(Math.max(ticks, this.#ticks), MAX_TICKS)
    if (this.#ticks < this.#renewAt) return
    const ahead = Math.max(this.#clockTicks() + RESERVED_TICKS - this.#ticks, RESERVED_AHEAD)
    this.#renewAt = this.#ticks + Math.floor(ahead / 2)
    this.#options.store.save(this.#ticks + ahead)
  }

  #refuse(reason: keyof RefusedFrames): false {
    this.refused[reason] += 1
    return false
  }
}
