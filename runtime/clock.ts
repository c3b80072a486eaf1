/** Where time comes from. Nothing else in Kestrel reads the system clock, so that a flight can be replayed. */
export interface Clock {
  /** Unix time, ms (fractions allowed). */
  nowMs(): number
  /** Resolves once `ms` have passed, or at once when `signal` aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Time as it passes: Unix time at the start plus a monotonic counter, so that a corrected system clock cannot make it jump. */
export class RealClock implements Clock {
  readonly #originMs = Date.now() - performance.now()

  nowMs(): number {
    return this.#originMs + performance.now()
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(0, ms))
      signal?.addEventListener('abort', done, { once: true })
    })
  }
}

interface Sleeper {
  wakeMs: number
  wake: () => void
}

/** Time that passes only when told to: for replay, `evaluate` and tests. */
export class VirtualClock implements Clock {
  #nowMs: number
  #sleepers: Sleeper[] = []

  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted || ms <= 0) return Promise.resolve()
    return new Promise(resolve => {
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter(other => other !== sleeper)
        resolve()
      }
      // A signal may outlive thousands of sleeps: none leaves its listener behind.
      const wake = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const sleeper: Sleeper = { wakeMs: this.#nowMs + ms, wake }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Moves time forward to `ms`, waking sleepers in the order of their time. Time never runs backwards. */
  async advanceTo(ms: number): Promise<void> {
    for (;;) {
      const next = this.#sleepers.reduce<Sleeper | undefined>(
        (first, sleeper) => (first === undefined || sleeper.wakeMs < first.wakeMs ? sleeper : first),
        undefined,
      )
      if (next === undefined || next.wakeMs > ms) break
      this.#sleepers = this.#sleepers.filter(other => other !== next)
      this.#nowMs = Math.max(this.#nowMs, next.wakeMs)
      next.wake()
      await new Promise(resolve => setImmediate(resolve))
    }
    this.#nowMs = Math.max(this.#nowMs, ms)
  }
}
