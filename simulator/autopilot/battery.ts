import type { Flight } from '../mission/plan.js'
import type { VehicleState } from '../vehicle-state.js'

/** A 6S lithium-ion pack; what it gave is the sum over the flight, so that it is a pure function of time too. */
const capacityMah = 16_000
const cells = 6
const internalOhm = 0.02

export interface Charge {
  currentA: number
  consumedMah: number
  remainingPercent: number
  voltage: number
  cellVoltages: number[]
}

export class Battery {
  readonly #flight: Flight
  /** Charge drawn until each whole second, mAh. */
  readonly #drawn: number[] = [0]

  constructor(flight: Flight) {
    this.#flight = flight
    for (let second = 1; second <= Math.ceil(flight.durationS) + 1; second++) {
      this.#drawn.push(this.#drawn[second - 1] + currentOf(flight.stateAt(second - 0.5)) / 3.6)
    }
  }

  at(timeS: number): Charge {
    const t = Math.max(timeS, 0)
    const currentA = currentOf(this.#flight.stateAt(t))
    const second = Math.min(Math.floor(t), this.#drawn.length - 2)
    const [before, after] = [this.#drawn[second], this.#drawn[second + 1]]
    // Beyond the end of the flight it goes on as in its last second, standing.
    const consumedMah = before + (t - second) * (after - before)
    const left = Math.max(0, 1 - consumedMah / capacityMah)
    // Open-circuit voltage of a cell: nearly straight, steeper at both ends.
    const cell =
      3.3 + 0.75 * left + 0.12 * left ** 8 - 0.3 * (1 - left) ** 8 - (currentA * internalOhm) / cells
    return {
      currentA,
      consumedMah,
      remainingPercent: Math.round(100 * left),
      voltage: cell * cells,
      cellVoltages: Array<number>(cells).fill(cell),
    }
  }
}

/** Share of full thrust, 0..1, of a multirotor that hovers at 0.36. */
export function throttleOf(state: VehicleState): number {
  if (!state.armed) return 0
  if (state.phase === 'ground' || state.phase === 'landed') return 0.08
  const { x, y, z } = state.velocity
  return Math.min(Math.max(0.36 + 0.03 * z + 0.0006 * (x * x + y * y), 0.1), 1)
}

function currentOf(state: VehicleState): number {
  return 0.6 + 70 * throttleOf(state) ** 1.3
}
