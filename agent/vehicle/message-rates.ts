import { common } from 'mavlink-mappings'

const { MavResult } = common

/** An answer is waited for this long, and asked for this often in a row, ms. */
const ANSWER_MS = 1000
const TRIES = 5
/** What was not answered, or does not come as it should, is asked for again after this, ms. */
const AGAIN_MS = 30_000
const REJECTED_MS = 5000
/** Over which it is counted what comes, ms. */
const WINDOW_MS = 10_000

interface Wanted {
  readonly id: number
  readonly hz: number
  /** When it is to be asked for; Infinity: it need not be. */
  dueMs: number
  /** When it was asked for last. */
  askedMs: number
  refused: boolean
  seen: number
}

/**
 * Asks the autopilot for messages at the rates that are needed, by MAV_CMD_SET_MESSAGE_INTERVAL (511). An acknowledgement names the command
 * and not the message, so one is asked for at a time. A lost answer is asked for again, and so is what does not come as often as
 * agreed: other stations may ask for rates of their own on the same line.
 */
export class MessageRates {
  readonly #wanted: Wanted[]
  readonly #send: (id: number, intervalUs: number, confirmation: number) => void
  #waiting: { wanted: Wanted; sentMs: number; tries: number } | undefined
  #windowEndMs = 0
  #active = false

  /**
   * @param rates number of the message → Hz
   * @param send sends the command; `confirmation` counts repeats
   */
  constructor(
    rates: ReadonlyMap<number, number>,
    send: (id: number, intervalUs: number, confirmation: number) => void,
  ) {
    this.#wanted = [...rates].map(([id, hz]) => ({
      id,
      hz,
      dueMs: 0,
      askedMs: Number.NEGATIVE_INFINITY,
      refused: false,
      seen: 0,
    }))
    this.#send = send
  }

  /** Messages that the autopilot does not have. */
  get refused(): number[] {
    return this.#wanted.filter(({ refused }) => refused).map(({ id }) => id)
  }

  /** Everything is to be asked for anew: the autopilot was found, or has started again. */
  restart(nowMs: number): void {
    this.#active = true
    this.#waiting = undefined
    this.#windowEndMs = nowMs + WINDOW_MS
    for (const wanted of this.#wanted) Object.assign(wanted, { dueMs: nowMs, refused: false, seen: 0 })
  }

  /** The autopilot is gone: nothing is asked for. */
  pause(): void {
    this.#active = false
    this.#waiting = undefined
  }

  /** A message of the autopilot came. */
  seen(id: number): void {
    const wanted = this.#wanted.find(each => each.id === id)
    if (wanted !== undefined) wanted.seen += 1
  }

  /** The answer to a MAV_CMD_SET_MESSAGE_INTERVAL of ours. */
  acknowledged(result: number, nowMs: number): void {
    const waiting = this.#waiting
    // PX4 and ArduPilot answer at once; "in progress" is not the answer yet.
    if (waiting === undefined || result === MavResult.IN_PROGRESS) return
    this.#waiting = undefined
    const { wanted } = waiting
    wanted.dueMs = Number.POSITIVE_INFINITY
    if (result === MavResult.TEMPORARILY_REJECTED) wanted.dueMs = nowMs + REJECTED_MS
    else if (result !== MavResult.ACCEPTED) wanted.refused = true
    this.tick(nowMs)
  }

  /** To be called a few times a second. */
  tick(nowMs: number): void {
    if (!this.#active) return
    this.#count(nowMs)
    const waiting = this.#waiting
    if (waiting !== undefined) {
      if (nowMs - waiting.sentMs < ANSWER_MS) return
      if (waiting.tries < TRIES) {
        this.#ask({ ...waiting, sentMs: nowMs, tries: waiting.tries + 1 })
        return
      }
      this.#waiting = undefined
      waiting.wanted.dueMs = nowMs + AGAIN_MS
    }
    const next = this.#wanted.find(({ dueMs }) => dueMs <= nowMs)
    if (next !== undefined) this.#ask({ wanted: next, sentMs: nowMs, tries: 1 })
  }

  #ask(asking: { wanted: Wanted; sentMs: number; tries: number }): void {
    this.#waiting = asking
    const { wanted, sentMs, tries } = asking
    wanted.askedMs = sentMs
    this.#send(wanted.id, Math.round(1e6 / wanted.hz), tries - 1)
  }

  #count(nowMs: number): void {
    if (nowMs < this.#windowEndMs) return
    for (const wanted of this.#wanted) {
      const { hz, seen, refused, dueMs, askedMs } = wanted
      const isPoor = seen < 0.5 * Math.floor((hz * WINDOW_MS) / 1000)
      if (isPoor && !refused && dueMs === Number.POSITIVE_INFINITY) wanted.dueMs = askedMs + AGAIN_MS
      wanted.seen = 0
    }
    this.#windowEndMs = nowMs + WINDOW_MS
  }
}
