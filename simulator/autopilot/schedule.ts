import type { ParameterTable } from './parameters.js'
import { defaultHz, telemetry } from './telemetry.js'

/** No message is sent more often than this, ms; ArduPilot has such a cap too, set by its main loop. */
const shortestMs = 10
/** Nor less often: MESSAGE_INTERVAL tells microseconds in an int32. */
const longestMs = 2_000_000

/** Which message is due when on one connection: everybody can ask for rates of their own. */
export class Schedule {
  readonly #parameters: ParameterTable
  /** Intervals that were asked for, ms; 0: never. */
  readonly #asked = new Map<number, number>()
  readonly #dueMs = new Map<number, number>()

  constructor(parameters: ParameterTable, nowMs: number) {
    this.#parameters = parameters
    for (const id of telemetry.keys()) this.#begin(id, nowMs)
  }

  /** ms between two; 0: never. Undefined where no such message exists. */
  intervalMs(id: number): number | undefined {
    const entry = telemetry.get(id)
    if (entry === undefined) return undefined
    const asked = this.#asked.get(id)
    if (asked !== undefined) return asked
    const hz = defaultHz(entry, this.#parameters)
    return hz > 0 ? 1000 / hz : 0
  }

  /**
   * @param intervalMs 0 returns to the default, negative is never, as in MAV_CMD_SET_MESSAGE_INTERVAL (511)
   * @returns false where no such message exists
   */
  ask(id: number, intervalMs: number, nowMs: number): boolean {
    if (!telemetry.has(id) || Number.isNaN(intervalMs)) return false
    if (intervalMs === 0) this.#asked.delete(id)
    else this.#asked.set(id, intervalMs < 0 ? 0 : Math.min(Math.max(intervalMs, shortestMs), longestMs))
    this.#begin(id, nowMs)
    return true
  }

  /** The next moment at which something is due, ms; never is Infinity. Rates may have been changed by a parameter meanwhile. */
  nextMs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const [id, due] of this.#dueMs) if (this.intervalMs(id)) next = Math.min(next, due)
    return next
  }

  /** Numbers of the messages that are due, each once however late it is, and sets the moment of the next. */
  take(nowMs: number): number[] {
    const due: number[] = []
    for (const [id, dueMs] of this.#dueMs) {
      const interval = this.intervalMs(id)
      if (!interval || dueMs > nowMs) continue
      due.push(id)
      // In step with the first one; what was missed stays missed.
      this.#dueMs.set(id, dueMs + interval * Math.max(1, Math.ceil((nowMs - dueMs) / interval)))
      if (this.#dueMs.get(id)! <= nowMs) this.#dueMs.set(id, nowMs + interval)
    }
    return due
  }

  /** The first of each kind comes within an interval of its own, so that not all are sent at once. */
  #begin(id: number, nowMs: number) {
    const interval = this.intervalMs(id) || 1000
    this.#dueMs.set(id, nowMs + (id === 0 ? 0 : (id * 17) % Math.max(1, Math.floor(interval))))
  }
}
