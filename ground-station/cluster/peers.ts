/** The other processes of the cluster: who is there, and how many drones each has. */
export class Peers {
  readonly #self: string
  readonly #ttlMs: number
  readonly #known = new Map<string, { drones: number; seenMs: number }>()

  constructor(self: string, ttlMs: number) {
    this.#self = self
    this.#ttlMs = ttlMs
  }

  /** @param nowMs of the monotonic clock, as everywhere here */
  announced(process: string, drones: number, nowMs: number): void {
    if (process !== this.#self) this.#known.set(process, { drones, seenMs: nowMs })
  }

  /**
   * Whether this process should give a drone away: another has two less, and none has more than this one (where several have as many, the
   * first by name gives).
   */
  shouldGive(drones: number, nowMs: number): boolean {
    for (const [name, { seenMs }] of this.#known) if (nowMs - seenMs > this.#ttlMs) this.#known.delete(name)
    const others = [...this.#known]
    const isMost = others.every(
      ([name, other]) => other.drones < drones || (other.drones === drones && this.#self < name),
    )
    return isMost && others.some(([, other]) => other.drones <= drones - 2)
  }
}
