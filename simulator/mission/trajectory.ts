import type { VehicleState } from '../vehicle-state.js'
import { bodyRates, lean, wrap } from './attitude.js'
import { limits } from './limits.js'
import type { Stage } from './plan.js'
import { slopes } from './smoothing.js'

interface TrajectoryParts {
  /** Position and unwrapped yaw at the grid's rate, m and rad. */
  x: Float64Array
  y: Float64Array
  z: Float64Array
  yaw: Float64Array
  stages: Stage[]
  armed: { fromS: number; toS: number }
  /** Velocity of the air, m/s, east and north. */
  wind: { x: number; y: number }
  /** How much of the air's doing reaches the vehicle: 0 on the ground, 1 in flight. */
  aloft: (timeS: number) => number
  /** Unsteadiness of roll and pitch, rad. */
  jitter: { roll: (timeS: number) => number; pitch: (timeS: number) => number }
}

/** One quantity on the grid, between whose samples cubics run: the slope is the exact derivative of the value. */
class Curve {
  readonly #values: Float64Array
  readonly #slopes: Float64Array

  constructor(values: Float64Array) {
    this.#values = values
    this.#slopes = slopes(values, limits.gridHz)
  }

  at(sample: number, u: number): { value: number; slope: number } {
    const h = 1 / limits.gridHz
    const [p0, p1] = [this.#values[sample], this.#values[sample + 1]]
    const [m0, m1] = [this.#slopes[sample] * h, this.#slopes[sample + 1] * h]
    const rise = p1 - p0
    // Hermite's cubic as a polynomial in u: p0 + m0 u + c2 u² + c3 u³.
    const c2 = 3 * rise - 2 * m0 - m1
    const c3 = m0 + m1 - 2 * rise
    return {
      value: p0 + u * (m0 + u * (c2 + u * c3)),
      slope: (m0 + u * (2 * c2 + u * 3 * c3)) / h,
    }
  }
}

/** A planned flight that answers where the vehicle is at any moment. */
export class Trajectory {
  readonly #parts: TrajectoryParts
  readonly #curves: Record<'x' | 'y' | 'z' | 'roll' | 'pitch' | 'yaw', Curve>
  readonly #samples: number

  constructor(parts: TrajectoryParts) {
    this.#parts = parts
    this.#samples = parts.x.length
    const { roll, pitch } = leans(parts)
    this.#curves = {
      x: new Curve(parts.x),
      y: new Curve(parts.y),
      z: new Curve(parts.z),
      roll: new Curve(roll),
      pitch: new Curve(pitch),
      yaw: new Curve(parts.yaw),
    }
  }

  at(timeS: number): VehicleState {
    const { stages, armed } = this.#parts
    const position = Math.min(Math.max(timeS * limits.gridHz, 0), this.#samples - 1)
    const sample = Math.min(Math.floor(position), this.#samples - 2)
    const u = position - sample
    const { x, y, z, roll, pitch, yaw } = this.#curves
    const [px, py, pz] = [x.at(sample, u), y.at(sample, u), z.at(sample, u)]
    const [r, p, w] = [roll.at(sample, u), pitch.at(sample, u), yaw.at(sample, u)]
    const attitude = { roll: r.value, pitch: p.value, yaw: wrap(w.value) }
    const stage = stages.findLast(({ fromS }) => timeS >= fromS) ?? stages[0]
    return {
      timeS,
      position: { x: px.value, y: py.value, z: pz.value },
      velocity: { x: px.slope, y: py.slope, z: pz.slope },
      attitude,
      rates: bodyRates(attitude, { roll: r.slope, pitch: p.slope, yaw: w.slope }),
      armed: timeS >= armed.fromS && timeS < armed.toS,
      phase: stage.phase,
      missionItem: stage.item,
    }
  }
}

function leans({ x, y, z, yaw, wind, aloft, jitter }: TrajectoryParts) {
  const [vx, vy, vz] = [x, y, z].map(values => slopes(values, limits.gridHz))
  const [ax, ay, az] = [vx, vy, vz].map(values => slopes(values, limits.gridHz))
  const [roll, pitch] = [new Float64Array(x.length), new Float64Array(x.length)]
  for (let i = 0; i < x.length; i++) {
    const timeS = i / limits.gridHz
    const share = aloft(timeS)
    const upright = lean(
      { x: ax[i], y: ay[i], z: az[i] },
      { x: vx[i] - wind.x, y: vy[i] - wind.y, z: vz[i] },
      yaw[i],
    )
    roll[i] = share * (upright.roll + jitter.roll(timeS))
    pitch[i] = share * (upright.pitch + jitter.pitch(timeS))
  }
  return { roll, pitch }
}
