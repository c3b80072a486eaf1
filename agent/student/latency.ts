export interface LatencySummary {
  fps: number
  /** Camera to label, ms; 0 where no frame came. */
  p50Ms: number
  p99Ms: number
}

/** Latencies of the newest frames, bounded in time and number. */
export class LatencyWindow {
  readonly #spanMs: number
  readonly #capacity: number
  #entries: { atMs: number; latencyMs: number }[] = []

  /** @param options.spanMs how far the window reaches back */
  constructor(options: { spanMs?: number; capacity?: number } = {}) {
    const { spanMs = 10_000, capacity = 2048 } = options
    this.#spanMs = spanMs
    this.#capacity = capacity
  }

  add(atMs: number, latencyMs: number): void {
    this.#entries.push({ atMs, latencyMs })
    if (this.#entries.length > this.#capacity) this.#entries.shift()
  }

  summary(nowMs: number): LatencySummary {
    this.#entries = this.#entries.filter(({ atMs }) => atMs > nowMs - this.#spanMs)
    const { length } = this.#entries
    if (length === 0) return { fps: 0, p50Ms: 0, p99Ms: 0 }
    const sorted = this.#entries.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b)
    const seconds = (nowMs - this.#entries[0].atMs) / 1000
    return {
      // The window may not be full yet; from n frames in s seconds after the first of them there were n − 1 intervals.
      fps: seconds > 0 ? Math.max(1, length - 1) / seconds : 0,
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
    }
  }
}

/** Nearest-rank percentile of ascending values; `share` in [0, 1]. NaN of nothing. */
export function percentile(sorted: number[], share: number): number {
  if (sorted.length === 0) return Number.NaN
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]
}
