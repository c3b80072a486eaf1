import type { Clock } from '@kestrel/runtime'

/** The first answer to wrong credentials waits this long, each further one twice as long, ms. */
const FIRST_MS = 250
const MOST_MS = 8000

/** Addresses that are remembered, the one that failed last longest, and for how long, ms. */
const MAX_ADDRESSES = 1024
const FORGET_MS = 600_000

/** Lets who fails to log in wait for the answer. Who has the right credentials never waits, whoever else shares its address. */
export class LogInDelay {
  readonly #clock: Clock
  readonly #failures = new Map<string, { count: number; atMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async wait(address: string, signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const known = this.#failures.get(address)
    const count = known === undefined || nowMs - known.atMs > FORGET_MS ? 0 : known.count
    this.#failures.delete(address)
    this.#failures.set(address, { count: count + 1, atMs: nowMs })
    if (this.#failures.size > MAX_ADDRESSES) {
      this.#failures.delete(this.#failures.keys().next().value as string)
    }
    await this.#clock.sleep(Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(count, 10)), signal)
  }

  /** Somebody there knows the credentials. */
  forgive(address: string): void {
    this.#failures.delete(address)
  }
}
