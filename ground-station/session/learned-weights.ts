import { Adam, type AdamOptions } from '../training/adam.js'
import type { SessionState } from './state.js'

/** What training works on: the weights w, the moments of Adam, and u of the phase before. */
export class LearnedWeights {
  readonly #options: AdamOptions
  /** w, [P]: what is being trained. */
  readonly parameters: Float32Array
  #adam: Adam
  /** u, the last Adam step, [P]; undefined before the first phase. */
  step: Float32Array | undefined

  /**
   * @param options.start what the drone flies, [P]
   * @param options.saved of an earlier process: takes the place of `start`
   */
  constructor(options: {
    start: Float32Array
    saved?: Pick<SessionState, 'trained' | 'm' | 'v' | 'adamSteps' | 'step'>
    adam: AdamOptions
  }) {
    const { start, saved, adam } = options
    this.#options = adam
    this.parameters = Float32Array.from(saved?.trained ?? start)
    this.#adam = new Adam(this.parameters.length, adam)
    if (saved === undefined) return
    this.#adam.m.set(saved.m)
    this.#adam.v.set(saved.v)
    this.#adam.i = saved.adamSteps
    this.step = saved.step.length > 0 ? saved.step : undefined
  }

  get adam(): Adam {
    return this.#adam
  }

  /** Training went astray: begin again from what flies, with fresh moments. */
  restart(flown: Float32Array): void {
    this.parameters.set(flown)
    this.#adam = new Adam(this.parameters.length, this.#options)
    this.step = undefined
  }

  /** Takes the rounding of what was sent, `result` in place of `target`, so that both sides stay bit-identical. */
  takeRounding(target: Float32Array, result: Float32Array): void {
    const { parameters } = this
    for (let i = 0; i < target.length; i++) if (parameters[i] === target[i]) parameters[i] = result[i]
  }

  /** What to save; the arrays are this object's own. */
  state(): Pick<SessionState, 'trained' | 'm' | 'v' | 'adamSteps' | 'step'> {
    const { m, v, i } = this.#adam
    return { trained: this.parameters, m, v, adamSteps: i, step: this.step ?? new Float32Array(0) }
  }
}
