/** A moment on two clocks of this machine, ms. */
export interface Instant {
  /** Never jumps, but may stand still while the machine sleeps. */
  monotonicMs: number
  /** May jump, but does not stand still. */
  wallMs: number
}

/** What the key of a lease holds. */
export interface LeaseRecord {
  /** The process that has it; empty where it was given back. */
  owner: string
  /** No signature under this lease, nor under any before, has a number from here on. */
  counter: bigint
}

/** A write that is to be made; the server refuses it where the key is not at this revision (0: there is no such key). */
export interface LeaseWrite {
  revision: number
  sent: Instant
}

export interface LeaseTimes {
  /** A lease that nobody renewed for so long is free. */
  ttlMs: number
}

/** Shares of the TTL. */
const RENEW = 1 / 4
/** Its owner stops this early: clocks may run up to a quarter apart. */
const VALID = 3 / 4

/**
 * Who owns one drone's session, seen from one process: a lease on a key that is changed by compare-and-set only. Plain logic: the caller
 * brings time, writes and what comes of them.
 *
 * Two owners never act at once. An owner counts from the moment *before* it sent the renewal, the others from the moment when they *saw* it,
 * and only they wait the whole TTL; clocks of two machines are never compared. A process that was frozen or cut off finds its lease over by
 * its own clocks before it does anything else. What it wrote meanwhile is refused: the key is at another revision.
 */
export class Lease {
  readonly #self: string
  readonly #times: LeaseTimes
  #record: LeaseRecord | undefined
  #revision = 0
  #seenMs: number
  /** `term`: the revision with which it was taken, greater than that of any owner before. `sent`: of the last write that the server took. */
  #held: { term: number; revision: number; sent: Instant } | undefined
  #writing: LeaseWrite | undefined
  #triedMs = Number.NEGATIVE_INFINITY

  /** @param self names this process, and no other one, nor itself after a restart */
  constructor(self: string, times: LeaseTimes, now: Instant) {
    this.#self = self
    this.#times = times
    this.#seenMs = now.monotonicMs
  }

  /** What the key was known to hold last. */
  get record(): LeaseRecord | undefined {
    return this.#record
  }

  /** The term where this process is the owner as far as it knows, be it in time or not. */
  get held(): number | undefined {
    return this.#held?.term
  }

  /** The term under which this process may act at this moment; undefined: it must not. */
  term(now: Instant): number | undefined {
    if (this.#held === undefined) return undefined
    const { term, sent } = this.#held
    // Whichever clock says more: one stands still in sleep, the other may be set back.
    const elapsedMs = Math.max(now.monotonicMs - sent.monotonicMs, now.wallMs - sent.wallMs)
    return elapsedMs < VALID * this.#times.ttlMs ? term : undefined
  }

  /** Since when anybody may take it, ms of the monotonic clock; Infinity where somebody owns it. */
  freeSince(now: Instant): number {
    if (this.#held !== undefined) return Number.POSITIVE_INFINITY
    if (this.#record === undefined || this.#record.owner === '') return this.#seenMs
    const freeMs = this.#seenMs + this.#times.ttlMs
    return now.monotonicMs >= freeMs ? freeMs : Number.POSITIVE_INFINITY
  }

  /** A change of the key, as the server tells of it; they may come late, and out of order with answers to writes. */
  observe(record: LeaseRecord | undefined, revision: number, now: Instant): void {
    if (revision <= this.#revision) return
    this.#see(record, revision, now)
  }

  /** What the key holds, read because a write was refused: whatever was thought is wrong. */
  correct(record: LeaseRecord | undefined, revision: number, now: Instant): void {
    if (revision !== this.#revision) this.#see(record, revision, now)
    if (this.#held !== undefined && (record?.owner !== this.#self || revision < this.#held.revision))
      this.#held = undefined
  }

  /** A renewal that is due, to be sent at once. */
  renew(now: Instant): LeaseWrite | undefined {
    if (this.#held === undefined || !this.#isDue(now)) return undefined
    return this.#begin(this.#held.revision, now)
  }

  /** An attempt to take a lease that is free, to be sent at once. */
  take(now: Instant): LeaseWrite | undefined {
    if (this.freeSince(now) > now.monotonicMs || !this.#isDue(now)) return undefined
    return this.#begin(this.#revision, now)
  }

  /** Gives it back: from here on this process does not act. @returns the write that tells the others */
  release(now: Instant): LeaseWrite | undefined {
    if (this.#held === undefined) return undefined
    const { revision } = this.#held
    this.#held = undefined
    return this.#begin(revision, now)
  }

  /**
   * What came of a write.
   *
   * @param record what was written
   * @param revision the key's revision since; undefined where that is not known, or it was refused: ask the server, then `correct`
   */
  wrote(write: LeaseWrite, record: LeaseRecord, revision: number | undefined, now: Instant): void {
    const isLatest = this.#writing === write
    if (isLatest) this.#writing = undefined
    if (revision === undefined) return
    // An answer that comes after something newer, or after the lease was given back, says nothing.
    if (isLatest && record.owner === this.#self && revision >= this.#revision)
      this.#held = { term: this.#held?.term ?? revision, revision, sent: write.sent }
    this.observe(record, revision, now)
  }

  #begin(revision: number, now: Instant): LeaseWrite {
    this.#writing = { revision, sent: now }
    this.#triedMs = now.monotonicMs
    return this.#writing
  }

  #isDue({ monotonicMs }: Instant): boolean {
    return this.#writing === undefined && monotonicMs - this.#triedMs >= RENEW * this.#times.ttlMs
  }

  #see(record: LeaseRecord | undefined, revision: number, now: Instant): void {
    this.#record = record
    this.#revision = revision
    this.#seenMs = now.monotonicMs
    if (this.#held === undefined || revision < this.#held.revision) return
    // Our own renewal, whose answer was lost, is ours; how long it holds is known from its answer only.
    if (record?.owner === this.#self) this.#held.revision = revision
    else this.#held = undefined
  }
}
