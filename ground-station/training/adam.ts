export interface AdamOptions {
  /** α, the step size. */
  alpha?: number
  /** β₁, decay of the first moment. */
  beta1?: number
  /** β₂, decay of the second moment. */
  beta2?: number
  /** ε, inside the square root. */
  epsilon?: number
}

/**
 * Adam as Algorithm 2 of the AMS paper (arXiv 2006.06628) has it: the moments of **all** coordinates advance, but only the
 * chosen ones move.
 *
 *     m ← β₁·m + (1−β₁)·g     v ← β₂·v + (1−β₂)·g²     i ← i + 1
 *     u ← α·√(1−β₂^i)/(1−β₁^i) · m/√(v+ε)              w ← w − u on I_n
 *
 * The state (`m`, `v`, `i`) is carried over from phase to phase.
 */
export class Adam {
  /** First moment, [P]. */
  readonly m: Float32Array
  /** Second moment, [P]. */
  readonly v: Float32Array
  /** Steps made. */
  i = 0
  readonly #u: Float32Array
  readonly #options: Required<AdamOptions>

  constructor(parameterCount: number, options: AdamOptions = {}) {
    const { alpha = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options
    this.m = new Float32Array(parameterCount)
    this.v = new Float32Array(parameterCount)
    this.#u = new Float32Array(parameterCount)
    this.#options = { alpha, beta1, beta2, epsilon }
  }

  /**
   * One step, in place.
   *
   * @param parameters w, [P]; changed on the chosen coordinates only
   * @param gradient g, [P]
   * @param chosen I_n: a mask [P] of 0 and 1 (Uint8Array), or the indices (Uint32Array); all coordinates if not given
   * @returns u, [P], for all coordinates; the same array at every step
   */
  step(parameters: Float32Array, gradient: Float32Array, chosen?: Uint8Array | Uint32Array): Float32Array {
    const { m, v } = this
    const u = this.#u
    const { alpha, beta1, beta2, epsilon } = this.#options
    if (parameters.length !== m.length || gradient.length !== m.length) {
      throw new RangeError(
        `Adam was made for ${m.length} parameters; given ${parameters.length} and ${gradient.length} gradients`,
      )
    }
    if (chosen instanceof Uint8Array && chosen.length !== m.length) {
      throw new RangeError(`A mask over ${m.length} parameters was expected; this one has ${chosen.length}`)
    }
    this.i++
    const scale = (alpha * Math.sqrt(1 - beta2 ** this.i)) / (1 - beta1 ** this.i)
    for (let k = 0; k < u.length; k++) {
      const g = gradient[k]
      m[k] = beta1 * m[k] + (1 - beta1) * g
      v[k] = beta2 * v[k] + (1 - beta2) * g * g
      u[k] = (scale * m[k]) / Math.sqrt(v[k] + epsilon)
    }
    if (chosen === undefined) for (let k = 0; k < u.length; k++) parameters[k] -= u[k]
    else if (chosen instanceof Uint32Array) for (const k of chosen) parameters[k] -= u[k]
    else for (let k = 0; k < u.length; k++) if (chosen[k] !== 0) parameters[k] -= u[k]
    return u
  }
}
