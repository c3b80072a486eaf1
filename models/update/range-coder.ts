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

export class RangeEncoder implements BitCoder {
  #low = 0
  #high = 0xffffffff
  #bytes = new Uint8Array(1 << 16)
  #length = 0

  bit(bit: number, a: BitModels, contextA: number, b: BitModels, contextB: number): number {
    const middle = split(this.#low, this.#high, (a.p[contextA] + b.p[contextB]) / 2)
    if (bit === 1) this.#high = middle
    else this.#low = middle + 1
    a.learn(contextA, bit)
    b.learn(contextB, bit)
    if (((this.#low ^ this.#high) & 0xff000000) === 0) this.#shift()
    return bit
  }

  raw(value: number, count: number): number {
    for (let i = count - 1; i >= 0; i--) {
      const middle = this.#low + Math.floor((this.#high - this.#low) / 2)
      if ((value >>> i) & 1) this.#high = middle
      else this.#low = middle + 1
      if (((this.#low ^ this.#high) & 0xff000000) === 0) this.#shift()
    }
    return value
  }

  /** The coded bytes; nothing can be coded afterwards. */
  finish(): Uint8Array {
    for (let i = 0; i < 4; i++) {
      this.#write(this.#low >>> 24)
      this.#low = (this.#low << 8) >>> 0
    }
    return this.#bytes.slice(0, this.#length)
  }

  #shift(): void {
    do {
      this.#write(this.#high >>> 24)
      this.#low = (this.#low << 8) >>> 0
      this.#high = ((this.#high << 8) | 255) >>> 0
    } while (((this.#low ^ this.#high) & 0xff000000) === 0)
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
  #low = 0
  #high = 0xffffffff
  #code = 0
  #at = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    for (let i = 0; i < 4; i++) this.#code = ((this.#code << 8) | this.#read()) >>> 0
  }

  bit(_bit: number, a: BitModels, contextA: number, b: BitModels, contextB: number): number {
    const middle = split(this.#low, this.#high, (a.p[contextA] + b.p[contextB]) / 2)
    const bit = this.#code <= middle ? 1 : 0
    if (bit === 1) this.#high = middle
    else this.#low = middle + 1
    a.learn(contextA, bit)
    b.learn(contextB, bit)
    if (((this.#low ^ this.#high) & 0xff000000) === 0) this.#shift()
    return bit
  }

  raw(_value: number, count: number): number {
    let value = 0
    for (let i = 0; i < count; i++) {
      const middle = this.#low + Math.floor((this.#high - this.#low) / 2)
      const bit = this.#code <= middle ? 1 : 0
      if (bit === 1) this.#high = middle
      else this.#low = middle + 1
      value = (value << 1) | bit
      if (((this.#low ^ this.#high) & 0xff000000) === 0) this.#shift()
    }
    return value
  }

  /** @throws UpdateRefused where bytes are left over or the last ones are not those that the encoder ends with */
  finish(): void {
    if (this.#at !== this.#bytes.length || this.#code !== this.#low) {
      throw new UpdateRefused(
        'malformed',
        `The update's payload is damaged: ${this.#bytes.length - this.#at} bytes left over`,
      )
    }
  }

  #shift(): void {
    do {
      this.#low = (this.#low << 8) >>> 0
      this.#high = ((this.#high << 8) | 255) >>> 0
      this.#code = ((this.#code << 8) | this.#read()) >>> 0
    } while (((this.#low ^ this.#high) & 0xff000000) === 0)
  }

  #read(): number {
    if (this.#at === this.#bytes.length) {
      throw new UpdateRefused('malformed', "The update's payload ends too early")
    }
    return this.#bytes[this.#at++]
  }
}
