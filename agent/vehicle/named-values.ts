import { message } from '@kestrel/link/mavlink'
import { common } from 'mavlink-mappings'

const MOST_NAMES = 48
const NAME_LENGTH = 10

/** NAMED_VALUE_FLOAT (#251): the newest value of each name, all of them together once a period. */
export class NamedValues {
  readonly #values = new Map<string, number>()
  #refused = 0

  /** Names that found no place. */
  get refused(): number {
    return this.#refused
  }

  /** @param name at most 10 characters of printable ASCII; what is longer is cut */
  set(name: string, value: number): void {
    const short = name.replace(/[^\x21-\x7e]/g, '_').slice(0, NAME_LENGTH)
    if (!this.#values.has(short) && this.#values.size >= MOST_NAMES) this.#refused += 1
    else if (short !== '') this.#values.set(short, value)
  }

  /** The values that were set since the last time. @param timeBootMs since the agent's start */
  take(timeBootMs: number): common.NamedValueFloat[] {
    const messages = [...this.#values].map(([name, value]) =>
      message(common.NamedValueFloat, {
        timeBootMs: Math.max(0, Math.round(timeBootMs)) % 2 ** 32,
        name,
        value,
      }),
    )
    this.#values.clear()
    return messages
  }
}
