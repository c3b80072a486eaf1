import { kindOf, modeName, type Neighbour, type Sender } from '@kestrel/link/mavlink'
import { common, minimal } from 'mavlink-mappings'

const { MavAutopilot, MavComponent, MavModeFlag, MavType } = minimal

/** Without a heartbeat for this long the autopilot is lost, ms. */
const LOST_MS = 5000
/** Another one is followed once the one before has been silent for this long, ms. */
const FORGET_MS = 30_000

/** The autopilot that is followed. */
export interface Autopilot {
  system: number
  /** Such as ArduCopter or PX4. */
  kind: string
  armed: boolean
  mode: string
  /** The line on which it speaks. */
  neighbour: Neighbour
}

/** Parts of a vehicle, and ground stations, that have heartbeats too. */
const notVehicles = new Set<number>([
  MavType.GCS,
  MavType.ONBOARD_CONTROLLER,
  MavType.GIMBAL,
  MavType.ADSB,
  MavType.CAMERA,
  MavType.CHARGING_STATION,
  MavType.FLARM,
  MavType.SERVO,
  MavType.ODID,
  MavType.BATTERY,
  MavType.PARACHUTE,
  MavType.LOG,
  MavType.OSD,
  MavType.IMU,
  MavType.GPS,
  MavType.WINCH,
  MavType.ANTENNA_TRACKER,
])

/**
 * Finds the vehicle's autopilot by its HEARTBEAT (#0), and keeps to it: who has heard one system does not turn to another while it lives.
 * Component 1 of its system, with a firmware of its own; no ground station, gimbal or transponder.
 */
export class AutopilotWatch {
  readonly #onlySystem: number | undefined
  #autopilot: Autopilot | undefined
  #heardMs = 0
  #present = false

  /** @param options.system the only system that is followed; the first one heard unless given */
  constructor(options: { system?: number } = {}) {
    this.#onlySystem = options.system
  }

  /** The one that is followed; lost ones too, until another is found. */
  get followed(): Autopilot | undefined {
    return this.#autopilot
  }

  /** Undefined while it is not heard. */
  get present(): Autopilot | undefined {
    return this.#present ? this.#autopilot : undefined
  }

  /** Whether a message is from the autopilot that is followed. */
  isFrom({ system, component }: Sender): boolean {
    return system === this.#autopilot?.system && component === MavComponent.AUTOPILOT1
  }

  /** Takes a heartbeat of anybody. @returns whether the autopilot was found, or found again, by it */
  heard(from: Sender, heartbeat: minimal.Heartbeat, neighbour: Neighbour, nowMs: number): boolean {
    const { type, autopilot, baseMode, customMode } = heartbeat
    if (from.component !== MavComponent.AUTOPILOT1 || from.system === 0) return false
    if (autopilot === MavAutopilot.INVALID || notVehicles.has(type)) return false
    if (this.#onlySystem !== undefined && from.system !== this.#onlySystem) return false
    const before = this.#autopilot
    const isOther = before !== undefined && before.system !== from.system
    if (isOther && nowMs - this.#heardMs < FORGET_MS) return false
    this.#heardMs = nowMs
    // Over two lines it is answered on the first for as long as that lives.
    const keeps = this.#present && !isOther && before !== undefined
    this.#autopilot = {
      system: from.system,
      kind: kindOf(type, autopilot),
      armed: (baseMode & MavModeFlag.SAFETY_ARMED) !== 0,
      mode: modeName(type, autopilot, customMode),
      neighbour: keeps ? before.neighbour : neighbour,
    }
    const found = !this.#present
    this.#present = true
    return found
  }

  /** @returns whether it has been lost just now */
  check(nowMs: number): boolean {
    if (!this.#present || nowMs - this.#heardMs < LOST_MS) return false
    this.#present = false
    return true
  }

  /** A line is gone: what was heard over it is heard over another, or lost soon. @returns whether that was the autopilot's */
  lineClosed(neighbour: Neighbour): boolean {
    if (!this.#present || this.#autopilot?.neighbour !== neighbour) return false
    this.#present = false
    return true
  }
}

/** MAV_LANDED_STATE by ArduPilot and PX4. */
export const landedStates = common.MavLandedState
