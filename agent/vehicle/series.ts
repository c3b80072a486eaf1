/** Values with rising times; the oldest go. */
export class Series<T> {
  readonly #capacity: number
  #times: number[] = []
  #values: T[] = []

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get length(): number {
    return this.#times.length
  }

  get last(): T | undefined {
    return this.#values.at(-1)
  }

  /** One that is not newer than the last is left out. */
  add(timeMs: number, value: T): void {
    const last = this.#times.at(-1)
    if (!Number.isFinite(timeMs) || (last !== undefined && timeMs <= last)) return
    this.#times.push(timeMs)
    this.#values.push(value)
    // In larger pieces, so that adding stays cheap.
    if (this.#times.length < 2 * this.#capacity) return
    this.#times = this.#times.slice(-this.#capacity)
    this.#values = this.#values.slice(-this.#capacity)
  }

  /** The neighbours of a moment: the last one at or before it, and the first one after it. */
  around(timeMs: number): { before?: Timed<T>; after?: Timed<T> } {
    let [low, high] = [0, this.#times.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#times[middle] <= timeMs) low = middle + 1
      else high = middle
    }
    return { before: this.#at(low - 1), after: this.#at(low) }
  }

  #at(index: number): Timed<T> | undefined {
    if (index < 0 || index >= this.#times.length) return undefined
    return { timeMs: this.#times[index], value: this.#values[index] }
  }
}

export interface Timed<T> {
  timeMs: number
  value: T
}
