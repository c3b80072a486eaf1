import type { Rng } from '@kestrel/runtime'

/** A small unsteady motion: a sum of sines, so that it is the same for every order of questions. */
export class Gusts {
  readonly #waves: { amplitude: number; omega: number; phase: number }[]
  /** No value is ever farther from zero. */
  readonly bound: number

  /** @param amplitude root mean square at most; frequencies are spread evenly in logarithm over [lowHz, highHz]. */
  constructor(rng: Rng, amplitude: number, lowHz: number, highHz: number, waves = 6) {
    const each = amplitude * Math.sqrt(2 / waves)
    this.#waves = Array.from({ length: waves }, (_, i) => {
      const hz = lowHz * (highHz / lowHz) ** ((i + rng.float()) / waves)
      // Slow air moves a vehicle farther than fast air.
      return {
        amplitude: each * (lowHz / hz) ** 0.5,
        omega: 2 * Math.PI * hz,
        phase: 2 * Math.PI * rng.float(),
      }
    })
    this.bound = this.#waves.reduce((sum, wave) => sum + wave.amplitude, 0)
  }

  at(timeS: number): number {
    let sum = 0
    for (const { amplitude, omega, phase } of this.#waves) sum += amplitude * Math.sin(omega * timeS + phase)
    return sum
  }
}
