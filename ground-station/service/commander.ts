import { type CommandResult, newMessageId, type PayloadInit } from '@kestrel/link'
import { type Clock, UserError } from '@kestrel/runtime'

/** What a person can order of a drone. */
export type Order =
  | { kind: 'learning'; on: boolean }
  | { kind: 'sampling'; minFps: number; maxFps: number }
  /** Names what is to be left: where something else flies by then, nothing is done. */
  | { kind: 'roll-back'; fromVersion: number }
  | { kind: 'save-checkpoint' }

/** A roll back loads a model first, which takes seconds on a small board; a slow link takes its time as well. */
const ANSWER_MS = 20_000

/** Orders of one drone that wait for their answers. */
const MAX_WAITING = 16

interface Waiting {
  drone: string
  answer: (result: CommandResult) => void
}

/** Sends orders, and waits for what the drone itself says came of them: nothing counts as done because it was sent. */
export class Commander {
  readonly #publish: (drone: string, payload: PayloadInit) => void
  readonly #clock: Clock
  readonly #waiting = new Map<string, Waiting>()

  constructor(options: { publish: (drone: string, payload: PayloadInit) => void; clock: Clock }) {
    this.#publish = options.publish
    this.#clock = options.clock
  }

  /**
   * @returns the drone's answer, which may be a refusal
   * @throws UserError where none comes within 20 s, or too many orders wait
   */
  async send(drone: string, order: Order): Promise<CommandResult> {
    const waiting = [...this.#waiting.values()].filter(other => other.drone === drone).length
    if (waiting >= MAX_WAITING)
      throw new UserError(`${waiting} orders wait for an answer of ${drone} already: wait for them`)
    const id = newMessageId()
    const key = Buffer.from(id).toString('hex')
    const late = new AbortController()
    const answered = new Promise<CommandResult>(resolve => {
      this.#waiting.set(key, { drone, answer: resolve })
    })
    try {
      this.#publish(drone, { case: 'command', value: { id, action: action(order) } })
      const timeout = this.#clock.sleep(ANSWER_MS, late.signal).then(() => undefined)
      const result = await Promise.race([answered, timeout])
      if (result !== undefined) return result
      throw new UserError(
        `${drone} did not answer within ${ANSWER_MS / 1000} s. The link may be down; once it is back the drone may still do this, and the events will say so`,
      )
    } finally {
      late.abort()
      this.#waiting.delete(key)
    }
  }

  /** @returns whether somebody waited for this answer: a late one is nobody's */
  take(drone: string, result: CommandResult): boolean {
    const waiting = this.#waiting.get(Buffer.from(result.id).toString('hex'))
    if (waiting?.drone !== drone) return false
    waiting.answer(result)
    return true
  }
}

function action(order: Order): Extract<PayloadInit, { case: 'command' }>['value']['action'] {
  switch (order.kind) {
    case 'learning':
      return { case: 'learning', value: order.on }
    case 'sampling':
      return { case: 'sampling', value: { minFps: order.minFps, maxFps: order.maxFps } }
    case 'roll-back':
      return { case: 'rollBack', value: { fromVersion: order.fromVersion } }
    case 'save-checkpoint':
      return { case: 'saveCheckpoint', value: {} }
  }
}
