/**
 * Gradient descent with momentum: v ← μ·v + g, u = α·v, w ← w − u on the chosen coordinates. As in AMS' coordinate descent, the
 * velocity advances for all coordinates.
 */
export class Momentum {
  readonly #alpha: number
  readonly #momentum: number
  readonly #velocity: Float32Array
  readonly #step: Float32Array

  /** @param parameterCount P */
  constructor(parameterCount: number, options: { alpha: number; momentum: number }) {
    this.#alpha = options.alpha
    this.#momentum = options.momentum
    this.#velocity = new Float32Array(parameterCount)
    this.#step = new Float32Array(parameterCount)
  }

  /**
   * Changes `parameters` in place.
   *
   * @param coordinates indices that may change, ascending
   * @returns u, [P]; this object's own memory, valid until the next step
   */
  step(parameters: Float32Array, gradient: Float32Array, coordinates: Uint32Array): Float32Array {
    for (let i = 0; i < gradient.length; i++) {
      this.#velocity[i] = this.#momentum * this.#velocity[i] + gradient[i]
      this.#step[i] = this.#alpha * this.#velocity[i]
    }
    for (const i of coordinates) parameters[i] -= this.#step[i]
    return this.#step
  }
}
