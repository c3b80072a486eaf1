import { message } from '@kestrel/link/mavlink'
import { common, type MavLinkData } from 'mavlink-mappings'

/** One number that a pilot can set from the ground station. */
export interface OwnParameter {
  /** At most 16 characters. */
  name: string
  least: number
  most: number
  get(): number
  /** Called with a value between `least` and `most`. */
  set(value: number): void
}

/**
 * The parameter protocol for our own component: PARAM_REQUEST_LIST (#21), PARAM_REQUEST_READ (#20) and PARAM_SET (#23) are answered by
 * PARAM_VALUE (#22). All are of type REAL32: ArduPilot and PX4 code integers in different ways, and a ground station takes the
 * vehicle's for ours.
 */
export class OwnParameters {
  readonly #parameters: OwnParameter[]

  constructor(parameters: OwnParameter[]) {
    this.#parameters = parameters
  }

  /** @returns the answers, broadcast so that every ground station hears of a change; undefined where it was no request of this kind */
  answer(data: MavLinkData): common.ParamValue[] | undefined {
    if (data instanceof common.ParamRequestList) return this.#parameters.map((_, index) => this.#value(index))
    if (data instanceof common.ParamRequestRead) {
      const index = data.paramIndex >= 0 ? data.paramIndex : this.#find(data.paramId)
      return index in this.#parameters ? [this.#value(index)] : []
    }
    if (data instanceof common.ParamSet) {
      const index = this.#find(data.paramId)
      if (index < 0) return []
      const { least, most, set } = this.#parameters[index]
      // What makes no sense changes nothing; the answer tells what holds.
      if (Number.isFinite(data.paramValue)) set(Math.min(most, Math.max(least, data.paramValue)))
      return [this.#value(index)]
    }
    return undefined
  }

  #find(name: string): number {
    return this.#parameters.findIndex(parameter => parameter.name === name)
  }

  #value(paramIndex: number): common.ParamValue {
    const { name, get } = this.#parameters[paramIndex]
    return message(common.ParamValue, {
      paramId: name,
      paramValue: get(),
      paramType: common.MavParamType.REAL32,
      paramCount: this.#parameters.length,
      paramIndex,
    })
  }
}
