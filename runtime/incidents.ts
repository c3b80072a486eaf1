import type { Clock } from './clock.js'
import type { Log } from './log.js'

/** Between two lines of the log about the same kind of incident, ms. */
const QUIET_MS = 10_000

/**
 * Counts what should not happen, by kind. Each kind is logged when it first happens, and from then on with its number at most every
 * ten seconds: whoever causes it must not be able to fill the log.
 */
export class Incidents {
  readonly #log: Log
  readonly #clock: Clock
  readonly #kinds = new Map<string, { count: number; saidMs: number; unsaid: number }>()

  constructor(options: { log: Log; clock: Clock }) {
    this.#log = options.log
    this.#clock = options.clock
  }

  /** How often each kind happened, and all of them together. */
  get counts(): Record<string, number> {
    return Object.fromEntries([...this.#kinds].map(([kind, { count }]) => [kind, count]))
  }

  get total(): number {
    return [...this.#kinds.values()].reduce((sum, { count }) => sum + count, 0)
  }

  /**
   * @param kind one of few, such as `log-in`: never what a stranger wrote
   * @param detail a sentence without a full stop, for the log
   */
  add(kind: string, detail: string): void {
    const known = this.#kinds.get(kind) ?? { count: 0, saidMs: Number.NEGATIVE_INFINITY, unsaid: 0 }
    this.#kinds.set(kind, known)
    known.count++
    const nowMs = this.#clock.nowMs()
    if (nowMs - known.saidMs < QUIET_MS) {
      known.unsaid++
      return
    }
    const more = known.unsaid === 0 ? '' : `, ${known.unsaid} more since the last line`
    this.#log.warn(`${printable(detail)} (${kind}: ${known.count} so far${more})`)
    known.saidMs = nowMs
    known.unsaid = 0
  }
}

/** Names come from strangers: no control characters of theirs reach a terminal, and no novels the log. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 300)
}
