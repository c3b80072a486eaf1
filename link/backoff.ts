import { createRng, type Rng } from '@kestrel/runtime'

/** How long to wait before trying again: doubling from one attempt to the next, with jitter, so that drones which lost the same broker do not return as one. */
export class Backoff {
  readonly #minMs: number
  readonly #maxMs: number
  readonly #rng: Rng
  #attempts = 0

  /** @param options.seed gives each client its own jitter */
  constructor(options: { minMs?: number; maxMs?: number; seed: string }) {
    const { minMs = 500, maxMs = 15_000, seed } = options
    this.#minMs = minMs
    this.#maxMs = maxMs
    this.#rng = createRng(`${seed}/backoff`)
  }

  /** The next wait, in [minMs, maxMs]: between half of and the whole of minMs·2^(attempts + 1). */
  nextMs(): number {
    const ceiling = Math.min(this.#maxMs, 2 * this.#minMs * 2 ** Math.min(this.#attempts++, 30))
    return ceiling / 2 + (ceiling / 2) * this.#rng.float()
  }

  reset(): void {
    this.#attempts = 0
  }
}
