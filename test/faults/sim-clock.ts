import type { Clock } from '@kestrel/runtime'

interface Sleeper {
  wakeMs: number
  order: number
  wake: () => void
}

/**
 * Virtual time for a whole world: it stands still while anybody still works, so that a run depends on its seed alone, not on how fast
 * this machine decodes a clip. What takes real time announces itself with `during`.
 */
export class SimClock implements Clock {
  #nowMs = 0
  #order = 0
  #sleepers: Sleeper[] = []
  #working = 0

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter(other => other !== sleeper)
        resolve()
      }
      const wake = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      // Up to the next 1/64 ms, which a double holds exactly: who sleeps until a moment must not wake a rounding error before it, for ever.
      const wakeMs = Math.ceil(64 * (this.#nowMs + Math.max(0, ms))) / 64
      const sleeper = { wakeMs, order: this.#order++, wake }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Real work: time stands still until it is done. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#working++
    try {
      return await work()
    } finally {
      this.#working--
    }
  }

  /** A clock that shows another time: one machine's, which may be wrong. */
  shifted(offsetMs: number): Clock {
    return { nowMs: () => this.#nowMs + offsetMs, sleep: (ms, signal) => this.sleep(ms, signal) }
  }

  async advanceTo(ms: number): Promise<void> {
    await this.#settle()
    for (;;) {
      let next: Sleeper | undefined
      for (const sleeper of this.#sleepers) {
        if (
          next === undefined ||
          sleeper.wakeMs < next.wakeMs ||
          (sleeper.wakeMs === next.wakeMs && sleeper.order < next.order)
        )
          next = sleeper
      }
      if (next === undefined || next.wakeMs > ms) break
      this.#sleepers = this.#sleepers.filter(other => other !== next)
      this.#nowMs = Math.max(this.#nowMs, next.wakeMs)
      next.wake()
      await this.#settle()
    }
    this.#nowMs = Math.max(this.#nowMs, ms)
  }

  async #settle(): Promise<void> {
    do await new Promise(resolve => setImmediate(resolve))
    while (this.#working > 0)
  }
}
