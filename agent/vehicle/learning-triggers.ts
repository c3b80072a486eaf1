import type { Autopilot } from './autopilot-watch.js'
import { landedStates } from './autopilot-watch.js'
import type { VehicleState } from './vehicle-state.js'

/** A vehicle that says nothing of landing flies when it is armed and this high or this fast. */
const FLYING_HEIGHT_M = 3
const FLYING_MPS = 3

/** What the vehicle's motion means for learning: when to sample at once, and when not at all. */
export class LearningTriggers {
  readonly #turnRadS: number
  #wasFlying = false

  /** @param options.turnDegS yaw or pitch from which the picture changes fast, degrees/s */
  constructor(options: { turnDegS: number }) {
    this.#turnRadS = (options.turnDegS * Math.PI) / 180
  }

  /**
   * To be called after each message.
   *
   * @param autopilot undefined where there is none: then sampling goes on as if there never were one
   * @returns whether frames are to be sampled at once, and whether the vehicle stands disarmed
   */
  news(autopilot: Autopilot | undefined, state: VehicleState): { hasten: boolean; grounded: boolean } {
    if (autopilot === undefined) {
      this.#wasFlying = false
      return { hasten: false, grounded: false }
    }
    const isFlying = autopilot.armed && flies(state)
    const tookOff = isFlying && !this.#wasFlying
    this.#wasFlying = isFlying
    const { rates } = state.motion ?? {}
    const turns =
      rates !== undefined && Math.max(Math.abs(rates.yaw), Math.abs(rates.pitch)) >= this.#turnRadS
    const isOffGround = state.landed === landedStates.IN_AIR || state.landed === landedStates.TAKEOFF
    return { hasten: tookOff || (isFlying && turns), grounded: !autopilot.armed && !isOffGround }
  }
}

function flies({ landed, position }: VehicleState): boolean {
  if (landed === landedStates.ON_GROUND) return false
  if (landed !== landedStates.UNDEFINED) return true
  if (position === undefined) return false
  const speed = Math.hypot(position.northMps, position.eastMps)
  return position.heightM > FLYING_HEIGHT_M || speed > FLYING_MPS
}
