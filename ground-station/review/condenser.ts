/** A series as columns: times (Unix ms, ascending) and values. */
export interface Columns {
  timesMs: number[]
  values: number[]
}

interface Bucket {
  count: number
  least: number
  leastMs: number
  greatest: number
  greatestMs: number
}

/**
 * Thins a series of any length out to at most `maxPoints` points while it streams by, in memory that does not grow: of every run of as many
 * samples the least and the greatest stay, each at its own time, and so do the first and the last sample. Spikes survive, which is what
 * people look for. Points are samples, never means of some.
 */
export class Condenser {
  readonly #maxBuckets: number
  #buckets: Bucket[] = []
  /** Samples in a full bucket. */
  #per = 1
  #count = 0
  #first: { ms: number; value: number } | undefined
  #last: { ms: number; value: number } | undefined

  /** @param maxPoints at least 4 */
  constructor(maxPoints: number) {
    if (!(maxPoints >= 4)) throw new RangeError(`A thinned series has at least 4 points; found ${maxPoints}`)
    this.#maxBuckets = Math.floor((maxPoints - 2) / 2)
  }

  /** Samples so far. */
  get count(): number {
    return this.#count
  }

  /** Whether every sample is still there. */
  get exact(): boolean {
    return this.#per === 1
  }

  /** Values that are not finite are no samples. */
  add(ms: number, value: number): void {
    if (!Number.isFinite(value) || !Number.isFinite(ms)) return
    this.#count += 1
    this.#first ??= { ms, value }
    this.#last = { ms, value }
    const open = this.#buckets.at(-1)
    if (open !== undefined && open.count < this.#per) {
      merge(open, { count: 1, least: value, leastMs: ms, greatest: value, greatestMs: ms })
      return
    }
    if (this.#buckets.length === this.#maxBuckets * (this.#per === 1 ? 2 : 1)) this.#halve()
    const last = this.#buckets.at(-1)
    const bucket = { count: 1, least: value, leastMs: ms, greatest: value, greatestMs: ms }
    if (last !== undefined && last.count < this.#per) merge(last, bucket)
    else this.#buckets.push(bucket)
  }

  /** What is left of the series now, in order of time. */
  columns(): Columns {
    const points = new Map<string, [number, number]>()
    const put = (ms: number, value: number) => points.set(`${ms} ${value}`, [ms, value])
    if (this.#first !== undefined) put(this.#first.ms, this.#first.value)
    for (const { least, leastMs, greatest, greatestMs } of this.#buckets) {
      if (leastMs <= greatestMs) put(leastMs, least)
      put(greatestMs, greatest)
      if (leastMs > greatestMs) put(leastMs, least)
    }
    if (this.#last !== undefined) put(this.#last.ms, this.#last.value)
    const sorted = [...points.values()].sort(([a], [b]) => a - b)
    return { timesMs: sorted.map(([ms]) => ms), values: sorted.map(([, value]) => value) }
  }

  /** Neighbours become one. While every sample has a bucket of its own there is room for as many as there may be points. */
  #halve(): void {
    const rounds = this.#per === 1 ? 2 : 1
    for (let round = 0; round < rounds; round++) {
      const halved: Bucket[] = []
      for (const [i, bucket] of this.#buckets.entries()) {
        if (i % 2 === 0) halved.push(bucket)
        else merge(halved[halved.length - 1], bucket)
      }
      this.#buckets = halved
      this.#per *= 2
    }
  }
}

function merge(into: Bucket, other: Bucket): void {
  into.count += other.count
  if (other.least < into.least) {
    into.least = other.least
    into.leastMs = other.leastMs
  }
  if (other.greatest > into.greatest) {
    into.greatest = other.greatest
    into.greatestMs = other.greatestMs
  }
}
