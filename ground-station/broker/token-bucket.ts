/** Lets so much through at once, and so much a second after that. */
export class TokenBucket {
  readonly #size: number
  readonly #perS: number
  #level = 0
  #atMs = Number.NEGATIVE_INFINITY

  /** @param options.size what may come at once @param options.perS what is forgiven a second; infinite: there is no limit */
  constructor(options: { size: number; perS: number }) {
    this.#size = options.size
    this.#perS = options.perS
  }

  /** Takes an amount. @returns how long to wait before it is let through, ms */
  take(amount: number, nowMs: number): number {
    // Nothing of an infinity in no time at all would be no number.
    if (this.#perS === Number.POSITIVE_INFINITY) return 0
    this.#level = Math.max(0, this.#level - (Math.max(0, nowMs - this.#atMs) / 1000) * this.#perS) + amount
    this.#atMs = nowMs
    return (Math.max(0, this.#level - this.#size) / this.#perS) * 1000
  }
}
