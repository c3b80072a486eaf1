import type { Received } from '@kestrel/link/mavlink'
import type { Clock } from '@kestrel/runtime'
import { common } from 'mavlink-mappings'
import type { ParameterLink } from './link.js'
import { decodeValue, type Encoding, encodeValue, ParamSetBytes, sameValue } from './value.js'
import { until } from './wait.js'

export interface Reading {
  value: number
  /** MAV_PARAM_TYPE */
  type: number
}

/**
 * How long an answer is waited for before the question is asked again: doubling, since a slow radio that is asked faster than it can send
 * only falls further behind. Where half of all frames are lost each way, a parameter that exists stays silent for all ten in one case of 18.
 */
const WAITS_MS = [250, 500, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000]

/** Between two questions, ms: 57,600 baud carries a PARAM_VALUE in 7. */
const PACE_MS = 10

/**
 * The parameter protocol from the side that asks (MAVLink, "Parameter Protocol"): PARAM_REQUEST_READ (#20) and PARAM_SET (#23), both answered by
 * PARAM_VALUE (#22). A question or an answer may be lost; each is asked again, which changes nothing where it was heard before.
 */
export class ParameterClient {
  readonly #link: ParameterLink
  readonly #clock: Clock
  readonly #target: { system: number; component: number }
  readonly #encoding: Encoding
  /** Names that were ever asked for: others, such as a list that a ground station loads, are passed over. */
  readonly #asked = new Set<string>()
  /** What was heard since the last question. */
  readonly #heard = new Map<string, Reading>()
  #wake = () => {}

  constructor(
    link: ParameterLink,
    options: { clock: Clock; target: { system: number; component: number }; encoding: Encoding },
  ) {
    this.#link = link
    this.#clock = options.clock
    this.#target = options.target
    this.#encoding = options.encoding
    link.onMessage(received => this.#hear(received))
  }

  /**
   * Reads parameters anew. Who is missing in the answer does not exist, or its answers were all lost: autopilots are silent about names that
   * they do not know.
   */
  async read(names: string[]): Promise<Map<string, Reading>> {
    for (const name of names) this.#forget(name)
    for (const waitMs of WAITS_MS) {
      const open = names.filter(name => !this.#heard.has(name))
      if (open.length === 0) break
      for (const name of open) {
        if (this.#heard.has(name)) continue
        this.#askFor(name)
        await this.#clock.sleep(PACE_MS)
      }
      await this.#until(() => names.every(name => this.#heard.has(name)), waitMs)
    }
    return new Map(
      names.flatMap(name => (this.#heard.has(name) ? [[name, this.#heard.get(name)!] as const] : [])),
    )
  }

  /**
   * Sets a parameter and waits for the autopilot to say what it is now.
   *
   * @param type as the autopilot said when it was read: PX4 takes no other
   * @param mayGoOn is asked before each attempt
   * @returns what the autopilot said last; undefined where it said nothing
   * @throws UserError where the type cannot have this value
   */
  async write(
    name: string,
    { value, type }: Reading,
    mayGoOn: () => boolean = () => true,
  ): Promise<Reading | undefined> {
    const bytes = encodeValue(value, type, this.#encoding)
    const isSet = () => {
      const now = this.#heard.get(name)
      return now !== undefined && sameValue(now.value, value, type, this.#encoding)
    }
    // An answer with another value may be that to an earlier question; an autopilot that says it three times means it.
    let others = 0
    let last: Reading | undefined
    for (const waitMs of WAITS_MS) {
      if (!mayGoOn()) break
      this.#forget(name)
      this.#link.send(
        Object.assign(new ParamSetBytes(), {
          targetSystem: this.#target.system,
          targetComponent: this.#target.component,
          paramId: name,
          paramValue: bytes,
          paramType: type,
        }),
      )
      await this.#until(isSet, waitMs)
      last = this.#heard.get(name) ?? last
      if (isSet() || (this.#heard.has(name) && ++others === 3)) break
    }
    return last
  }

  #forget(name: string): void {
    this.#asked.add(name)
    this.#heard.delete(name)
  }

  #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    return until(condition, timeoutMs, this.#clock, wake => {
      this.#wake = wake
    })
  }

  #askFor(name: string): void {
    this.#link.send(
      Object.assign(new common.ParamRequestRead(), {
        targetSystem: this.#target.system,
        targetComponent: this.#target.component,
        paramId: name,
        // The name counts.
        paramIndex: -1,
      }),
    )
  }

  #hear({ from: { system, component }, data, payload }: Received): void {
    if (!(data instanceof common.ParamValue)) return
    if (system !== this.#target.system || component !== this.#target.component) return
    if (!this.#asked.has(data.paramId)) return
    const type = Number(data.paramType)
    this.#heard.set(data.paramId, { value: decodeValue(payload.subarray(0, 4), type, this.#encoding), type })
    this.#wake()
  }
}
