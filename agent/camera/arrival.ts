/** How fast the bound rises, ms per ms: more than two clocks drift apart, far less than a network's jitter. */
const RISE = 0.001
/** A time that is so far off has jumped, and is begun anew, ms. */
const JUMP_MS = 5000

/**
 * When pictures were taken whose sender has a clock of its own: their spacing is the sender's, their place in time that of the picture
 * that was on its way for the shortest time. What all of them were on their way cannot be known.
 */
export class ArrivalClock {
  #offsetMs: number | undefined
  #lastMs = 0

  /**
   * @param ptsMs the sender's time
   * @param arrivalMs when it came, our Clock's time, rising
   * @returns our time, at or before the arrival, ms
   */
  captureMs(ptsMs: number | undefined, arrivalMs: number): number {
    if (ptsMs === undefined) return arrivalMs
    const offsetMs = arrivalMs - ptsMs
    const bound = this.#offsetMs === undefined ? offsetMs : this.#offsetMs + RISE * (arrivalMs - this.#lastMs)
    const jumped = Math.abs(offsetMs - bound) > JUMP_MS
    this.#offsetMs = jumped ? offsetMs : Math.min(offsetMs, bound)
    this.#lastMs = arrivalMs
    return ptsMs + this.#offsetMs
  }
}
