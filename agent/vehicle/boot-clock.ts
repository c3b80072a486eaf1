/** Of the window over which the shortest way is looked for, ms. */
const WINDOW_MS = 10_000
/** The autopilot's time went back by more than what messages overtake each other: it has started anew. */
const REBOOT_MS = 2000
const WRAP_MS = 2 ** 32

/**
 * Translates `time_boot_ms` into our clock. Messages arrive late by a varying time and never early, so the smallest difference
 * between arrival and boot time within some seconds is the true one, but for the shortest delay of the line (a few ms). The window moves on:
 * two clocks drift.
 */
export class BootClock {
  /** Smallest difference in this window and in the one before. */
  #least = Number.POSITIVE_INFINITY
  #leastBefore = Number.POSITIVE_INFINITY
  #windowEndMs = Number.NEGATIVE_INFINITY
  #lastBootMs: number | undefined
  #wraps = 0
  #reboots = 0

  /** How often the autopilot has started anew while we listened. */
  get reboots(): number {
    return this.#reboots
  }

  /**
   * @param bootMs uint32, as the message tells it
   * @param arrivalMs when it came, our clock
   * @returns when that was, our clock
   */
  toClockMs(bootMs: number, arrivalMs: number): number {
    const last = this.#lastBootMs
    if (last !== undefined && bootMs < last - REBOOT_MS) {
      if (last - bootMs > WRAP_MS / 2) this.#wraps += 1
      else this.#restart()
    }
    // One that was overtaken by a later one does not count back.
    if (last === undefined || bootMs > last || bootMs < last - REBOOT_MS) this.#lastBootMs = bootMs
    const sinceBootMs = bootMs + this.#wraps * WRAP_MS
    if (arrivalMs >= this.#windowEndMs) {
      this.#leastBefore = arrivalMs < this.#windowEndMs + WINDOW_MS ? this.#least : Number.POSITIVE_INFINITY
      this.#least = Number.POSITIVE_INFINITY
      this.#windowEndMs = arrivalMs + WINDOW_MS
    }
    this.#least = Math.min(this.#least, arrivalMs - sinceBootMs)
    return sinceBootMs + Math.min(this.#least, this.#leastBefore)
  }

  #restart(): void {
    this.#reboots += 1
    this.#wraps = 0
    this.#least = this.#leastBefore = Number.POSITIVE_INFINITY
    this.#windowEndMs = Number.NEGATIVE_INFINITY
  }
}
