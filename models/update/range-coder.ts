import { UpdateRefused } from './refused.js'

/*
 * An adaptive binary arithmetic coder, carry-free in the manner of M. Mahoney's lpaq: the interval [low, high] of 32-bit integers
 * is split in proportion to the probability of the next bit, and bytes leave as soon as both ends share them. All arithmetic is
 * on integers below 2^53 and on IEEE doubles with + − × only, so every machine codes the same bytes.
 */

/** Bits of a probability when it splits the interval. */
const SCALE = 65536
/** Probabilities stay this far from certainty: the least cost of a bit is 1/11,000. */
const MARGIN = 4
/** A model's learning rate falls as 1/(n + 1.5) to this, then stays, so that it can follow a change. */
const SLOWEST = 1 / 400
const rates = Float64Array.from({ length: 512 }, (_, n) => Math.max(1 / (n + 1.5), SLOWEST))
const LAST_RATE = rates.length - 1

/** The probabilities of bits in their contexts, each learnt from the bits that were coded in it. */
export class BitModels {
  /** Probability of a 1. */
  readonly p: Float64Array
  readonly #seen: Uint16Array

  constructor(contexts: number) {
    this.p = new Float64Array(contexts).fill(0.5)
    this.#seen = new Uint16Array(contexts)
  }

  learn(context: number, bit: number): void {
    const seen = this.#seen[context]
    this.p[context] += (bit - this.p[context]) * rates[seen]
    if (seen < LAST_RATE) this.#seen[context] = seen + 1
  }
}

/** One side of the coder. `encode…` return what they were given, `decode…` what was coded: codecs are written once for both. */
export interface BitCoder {
  /** A bit predicted by the mean of two models. */
  bit(bit: number, a: BitModels, contextA: number, b: BitModels, contextB: number): number
  /** `count` (at most 16) bits that nothing predicts. */
  raw(value: number, count: number): number
}

function split(low: number, high: number, p: number): number {
  const scaled = Math.min(Math.max(Math.floor(p * SCALE), MARGIN), SCALE - MARGIN)
  return low + Math.floor(((high - low) * scaled) / SCALE)
}

// The ends of the interval live in typed arrays: as plain fields, numbers beyond 31 bits would be allocated anew each time.
const LOW = 0
const HIGH = 1
const CODE = 2

export class RangeEncoder implements BitCoder {
  readonly #state = Uint32Array.of(0, 0xffffffff)
  #bytes = new Uint8Array(1 << 16)
  #length = 0

  bit(bit: number, a: BitModels, contextA: number, b: BitModels, contextB: number): number {
    const state = this.#state
    const middle = split(state[LOW], state[HIGH], (a.p[contextA] + b.p[contextB]) / 2)
    if (bit === 1) state[HIGH] = middle
    else state[LOW] = middle + 1
    a.learn(contextA, bit)
    b.learn(contextB, bit)
    if (((state[LOW] ^ state[HIGH]) & 0xff000000) === 0) this.#shift()
    return bit
  }

  raw(value: number, count: number): number {
    const state = this.#state
    for (let i = count - 1; i >= 0; i--) {
      const middle = state[LOW] + Math.floor((state[HIGH] - state[LOW]) / 2)
      if ((value >>> i) & 1) state[HIGH] = middle
      else state[LOW] = middle + 1
      if (((state[LOW] ^ state[HIGH]) & 0xff000000) === 0) this.#shift()
    }
    return value
  }

  /** The coded bytes; nothing can be coded afterwards. */
  finish(): Uint8Array {
    const state = this.#state
    for (let i = 0; i < 4; i++) {
      this.#write(state[LOW] >>> 24)
      state[LOW] = (state[LOW] << 8) >>> 0
    }
    return this.#bytes.slice(0, this.#length)
  }

  #shift(): void {
    const state = this.#state
    do {
      this.#write(state[HIGH] >>> 24)
      state[LOW] = (state[LOW] << 8) >>> 0
      state[HIGH] = ((state[HIGH] << 8) | 255) >>> 0
    } while (((state[LOW] ^ state[HIGH]) & 0xff000000) === 0)
  }

  #write(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length)
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes[this.#length++] = byte
  }
}

export class RangeDecoder implements BitCoder {
  readonly #state = Uint32Array.of(0, 0xffffffff, 0)
  #at = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    const state = this.#state
    for (let i = 0; i < 4; i++) state[CODE] = ((state[CODE] << 8) | this.#read()) >>> 0
  }

  bit(_bit: number, a: BitModels, contextA: number, b: BitModels, contextB: number): number {
    const state = this.#state
    const middle = split(state[LOW], state[HIGH], (a.p[contextA] + b.p[contextB]) / 2)
    const bit = state[CODE] <= middle ? 1 : 0
    if (bit === 1) state[HIGH] = middle
    else state[LOW] = middle + 1
    a.learn(contextA, bit)
    b.learn(contextB, bit)
    if (((state[LOW] ^ state[HIGH]) & 0xff000000) === 0) this.#shift()
    return bit
  }

  raw(_value: number, count: number): number {
    const state = this.#state
    let value = 0
    for (let i = 0; i < count; i++) {
      const middle = state[LOW] + Math.floor((state[HIGH] - state[LOW]) / 2)
      const bit = state[CODE] <= middle ? 1 : 0
      if (bit === 1) state[HIGH] = middle
      else state[LOW] = middle + 1
      value = (value << 1) | bit
      if (((state[LOW] ^ state[HIGH]) & 0xff000000) === 0) this.#shift()
    }
    return value
  }

  /** @throws UpdateRefused where bytes are left over or the last ones are not those that the encoder ends with */
  finish(): void {
    const state = this.#state
    if (this.#at !== this.#bytes.length || state[CODE] !== state[LOW]) {
      throw new UpdateRefused(
        'malformed',
        `The update's payload is damaged: ${this.#bytes.length - this.#at} bytes left over`,
      )
    }
  }

  #shift(): void {
    const state = this.#state
    do {
      state[LOW] = (state[LOW] << 8) >>> 0
      state[HIGH] = ((state[HIGH] << 8) | 255) >>> 0
      state[CODE] = ((state[CODE] << 8) | this.#read()) >>> 0
    } while (((state[LOW] ^ state[HIGH]) & 0xff000000) === 0)
  }

  #read(): number {
    if (this.#at === this.#bytes.length) {
      throw new UpdateRefused('malformed', "The update's payload ends too early")
    }
    return this.#bytes[this.#at++]
  }
}
