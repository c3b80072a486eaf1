import { message } from '@kestrel/link/mavlink'
import { type Clock, UserError } from '@kestrel/runtime'
import { common } from 'mavlink-mappings'
import type { Flight } from '../mission/plan.js'
import type { VehicleState } from '../vehicle-state.js'
import { Battery, type Charge } from './battery.js'
import { type CopterMode, copterModes } from './copter-modes.js'
import { type Home, homeSchema, toGeodetic } from './geodesy.js'
import { missionList, type Plan } from './mission-list.js'
import { type Parameter, ParameterTable } from './parameters.js'

/** Everything that messages are made of, at one moment. */
export interface Snapshot {
  /** Since the start of the scenario, whole ms: the state is exactly that of this time. */
  bootMs: number
  unixMs: number
  state: VehicleState
  place: Home
  home: Home
  homeZ: number
  mode: CopterMode
  charge: Charge
  plan: Plan
}

/** The vehicle that the autopilot speaks for: one, however many listen to it. */
export class Vehicle {
  readonly parameters = new ParameterTable()
  readonly plan: Plan
  readonly home: Home
  readonly flight: Flight
  readonly #clock: Clock
  readonly #startMs: number
  readonly #speed: number
  readonly #battery: Battery
  /** What a ground station chose while the vehicle stands; the mission begins in AUTO whatever it was. */
  #groundMode: CopterMode = copterModes.STABILIZE

  constructor(options: { flight: Flight; home: Home; clock: Clock; startMs: number; speed: number }) {
    const home = homeSchema.safeParse(options.home)
    if (!home.success) throw new UserError(`Home is no place on the globe: ${home.error.issues[0]?.message}`)
    this.home = home.data
    this.flight = options.flight
    this.#clock = options.clock
    this.#startMs = options.startMs
    this.#speed = options.speed
    this.#battery = new Battery(options.flight)
    this.plan = missionList(options.flight, this.home)
  }

  now(): Snapshot {
    const unixMs = this.#clock.nowMs()
    // MAVLink's time_boot_ms is a uint32.
    const bootMs = Math.max(0, Math.floor((unixMs - this.#startMs) * this.#speed)) % 2 ** 32
    const state = this.flight.stateAt(bootMs / 1000)
    return {
      bootMs,
      unixMs,
      state,
      place: toGeodetic(this.home, state.position.x, state.position.y),
      home: this.home,
      homeZ: this.flight.homeZ,
      mode: state.armed || state.phase !== 'ground' ? copterModes.AUTO : this.#groundMode,
      charge: this.#battery.at(bootMs / 1000),
      plan: this.plan,
    }
  }

  /** False where the vehicle flies (or flew) its mission and stays in AUTO. */
  chooseMode(mode: CopterMode): boolean {
    const { mode: current, state } = this.now()
    if (mode === current) return true
    if (state.armed || state.phase !== 'ground') return false
    // A vehicle that stands cannot return or land.
    if (mode === copterModes.RTL || mode === copterModes.LAND) return false
    this.#groundMode = mode
    return true
  }

  /** PARAM_VALUE (#22). */
  parameterValue({ name, type, value, index }: Parameter) {
    return message(common.ParamValue, {
      paramId: name,
      paramValue: value,
      paramType: type as common.MavParamType,
      paramCount: this.parameters.count,
      paramIndex: index,
    })
  }

  /** When a moment of the flight (s) comes, on the clock (ms). */
  clockMsAt(timeS: number): number {
    return this.#startMs + (timeS * 1000) / this.#speed
  }
}
