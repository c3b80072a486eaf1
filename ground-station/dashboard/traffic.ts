/** kbit/s of what passed in a trailing window. */
export class Traffic {
  readonly #windowMs: number
  #passed: { timeMs: number; bytes: number }[] = []
  #beganMs: number | undefined

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  add(timeMs: number, bytes: number): void {
    this.#beganMs ??= timeMs
    const last = this.#passed.at(-1)
    // One entry for each 100 ms, so that many small messages take no more room.
    if (last !== undefined && timeMs - last.timeMs < 100) last.bytes += bytes
    else this.#passed.push({ timeMs, bytes })
    this.#forget(timeMs)
  }

  /** At the beginning the window is as long as there is something to count, 1 s at least. */
  kbps(nowMs: number): number {
    this.#forget(nowMs)
    const bytes = this.#passed.reduce((sum, entry) => sum + entry.bytes, 0)
    const ms = Math.min(this.#windowMs, Math.max(1000, nowMs - (this.#beganMs ?? nowMs)))
    return (8 * bytes) / ms
  }

  #forget(nowMs: number): void {
    // A clock that was set back must not keep old entries for ever.
    this.#passed = this.#passed.filter(
      ({ timeMs }) => timeMs > nowMs - this.#windowMs && timeMs <= nowMs + 1000,
    )
  }
}
