/** What a link is taken to carry at least, kbit/s, until it shows otherwise. */
const LEAST_KBPS = { most: 64, least: 8 }

/** A link is silent too long after so many times the interval of pings. */
const PATIENCE = 1.5

/**
 * Whether a link is dead, from the bytes that come. A ping is answered only after all that was sent before it has gone through, so that a slow
 * link may be silent for as long as that takes: the more is under way, the longer it is waited for. Where a link was given up with something
 * under way it may have been too slow for this, and is waited for twice as long the next time.
 */
export class Liveness {
  readonly #keepaliveMs: number
  #heardMs: number
  #leastKbps = LEAST_KBPS.most

  /** @param keepaliveS interval of pings, s */
  constructor(keepaliveS: number, nowMs: number) {
    this.#keepaliveMs = 1000 * keepaliveS
    this.#heardMs = nowMs
  }

  /** Bytes came, or the link is new. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs
  }

  /** Something that was under way has arrived. */
  arrived(): void {
    this.#leastKbps = Math.min(LEAST_KBPS.most, 2 * this.#leastKbps)
  }

  /** @param underWay bytes that were sent and not acknowledged */
  isDead(underWay: number, nowMs: number): boolean {
    return nowMs - this.#heardMs > PATIENCE * this.#keepaliveMs + (8 * underWay) / this.#leastKbps
  }

  /** The link was given up. @param underWay as in `isDead` */
  gaveUp(underWay: number): void {
    if (underWay > 0) this.#leastKbps = Math.max(LEAST_KBPS.least, this.#leastKbps / 2)
  }
}
