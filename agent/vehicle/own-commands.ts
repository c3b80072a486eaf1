import { message, type Sender } from '@kestrel/link/mavlink'
import { common, type MavLinkData } from 'mavlink-mappings'

const { MavResult } = common

/** A ground station repeats what it heard no answer to within a few seconds; that is the same command, ms. */
const SAME_MS = 10_000
const MOST_REMEMBERED = 32

export interface Command {
  command: number
  /** param1..param7 */
  params: number[]
}

/** Does what is asked. What throws is a failure. */
export type CommandHandler = (
  command: Command,
) => common.MavResult | undefined | Promise<common.MavResult | undefined>

interface Remembered {
  /** IN_PROGRESS while it is being done. */
  result: common.MavResult
  atMs: number
}

/**
 * COMMAND_LONG (#76) and COMMAND_INT (#75) to our component, acknowledged by COMMAND_ACK (#77) when they are done. A repeat (its
 * `confirmation` counts up) of a command whose answer was lost is answered again and not done again.
 */
export class OwnCommands {
  readonly #handle: CommandHandler
  readonly #remembered = new Map<string, Remembered>()

  /** @param handle returns undefined where it knows no such command */
  constructor(handle: CommandHandler) {
    this.#handle = handle
  }

  /**
   * @param addressed whether our component itself was asked, and not all of them: then the unknown is answered too
   * @param reply sends an answer
   * @returns whether it was a command
   */
  take(
    data: MavLinkData,
    from: Sender,
    addressed: boolean,
    nowMs: number,
    reply: (ack: common.CommandAck) => void,
  ): boolean {
    if (!(data instanceof common.CommandLong || data instanceof common.CommandInt)) return false
    const { command, _param1, _param2, _param3, _param4, _param5, _param6, _param7 } = data
    const params = [_param1, _param2, _param3, _param4, _param5, _param6, _param7]
    const key = `${from.system}/${from.component}/${command}`
    const answer = (result: common.MavResult) => reply(acknowledge(command, result, from))
    const before = this.#remembered.get(key)
    const isRepeat = data instanceof common.CommandLong && data.confirmation > 0
    if (before !== undefined && nowMs - before.atMs < SAME_MS) {
      if (isRepeat || before.result === MavResult.IN_PROGRESS) {
        answer(before.result)
        return true
      }
    }
    void this.#do({ command, params }, { key, nowMs, addressed, answer })
    return true
  }

  async #do(
    command: Command,
    how: {
      key: string
      nowMs: number
      addressed: boolean
      answer: (result: common.MavResult) => void
    },
  ): Promise<void> {
    const { key, nowMs, addressed, answer } = how
    const remembered: Remembered = { result: MavResult.IN_PROGRESS, atMs: nowMs }
    let result: common.MavResult | undefined
    try {
      const doing = this.#handle(command)
      if (doing instanceof Promise) {
        this.#remember(key, remembered)
        answer(MavResult.IN_PROGRESS)
      }
      result = await doing
    } catch {
      result = MavResult.FAILED
    }
    if (result === undefined && !addressed) return
    remembered.result = result ?? MavResult.UNSUPPORTED
    this.#remember(key, remembered)
    answer(remembered.result)
  }

  #remember(key: string, remembered: Remembered): void {
    this.#remembered.delete(key)
    this.#remembered.set(key, remembered)
    if (this.#remembered.size > MOST_REMEMBERED) {
      this.#remembered.delete(this.#remembered.keys().next().value as string)
    }
  }
}

function acknowledge(command: number, result: common.MavResult, to: Sender): common.CommandAck {
  return message(common.CommandAck, {
    command,
    result,
    progress: result === MavResult.IN_PROGRESS ? 255 : 0,
    resultParam2: 0,
    targetSystem: to.system,
    targetComponent: to.component,
  })
}
