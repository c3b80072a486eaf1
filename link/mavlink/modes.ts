import { minimal } from 'mavlink-mappings'

const { MavAutopilot, MavType } = minimal

/** `custom_mode` of ArduPilot, by vehicle (`Mode::Number` of each), https://ardupilot.org/dev/docs/mavlink-get-set-flightmode.html */
const copter =
  'STABILIZE,ACRO,ALT_HOLD,AUTO,GUIDED,LOITER,RTL,CIRCLE,,LAND,,DRIFT,,SPORT,FLIP,AUTOTUNE,POSHOLD,BRAKE,THROW,AVOID_ADSB,GUIDED_NOGPS,SMART_RTL,FLOWHOLD,FOLLOW,ZIGZAG,SYSTEMID,AUTOROTATE,AUTO_RTL,TURTLE'.split(
    ',',
  )
const plane =
  'MANUAL,CIRCLE,STABILIZE,TRAINING,ACRO,FBWA,FBWB,CRUISE,AUTOTUNE,,AUTO,RTL,LOITER,TAKEOFF,AVOID_ADSB,GUIDED,INITIALISING,QSTABILIZE,QHOVER,QLOITER,QLAND,QRTL,QAUTOTUNE,QACRO,THERMAL,LOITER_ALT_QLAND,AUTOLAND'.split(
    ',',
  )
const rover =
  'MANUAL,ACRO,,STEERING,HOLD,LOITER,FOLLOW,SIMPLE,DOCK,CIRCLE,AUTO,RTL,SMART_RTL,,,GUIDED,INITIALISING'.split(
    ',',
  )

/** PX4: main mode in bits 16..23, sub mode in bits 24..31 of `custom_mode` (its px4_custom_mode.h). */
const px4Main = ',MANUAL,ALTCTL,POSCTL,AUTO,ACRO,OFFBOARD,STABILIZED,RATTITUDE,SIMPLE,TERMINATION'.split(',')
const px4Auto = ',READY,TAKEOFF,LOITER,MISSION,RTL,LAND,,FOLLOW,PRECLAND,VTOL_TAKEOFF'.split(',')

export type Firmware = 'ArduPilot' | 'PX4' | 'other'

export function firmwareOf(autopilot: number): Firmware {
  if (autopilot === MavAutopilot.ARDUPILOTMEGA) return 'ArduPilot'
  return autopilot === MavAutopilot.PX4 ? 'PX4' : 'other'
}

export interface ArdupilotVehicle {
  /** As in the names of firmware-config's files. */
  id: 'copter' | 'plane' | 'rover'
  name: string
  /** Names by `custom_mode`; empty where a number is free. */
  modes: string[]
}

const arduCopter: ArdupilotVehicle = { id: 'copter', name: 'ArduCopter', modes: copter }
const arduPlane: ArdupilotVehicle = { id: 'plane', name: 'ArduPlane', modes: plane }
const arduRover: ArdupilotVehicle = { id: 'rover', name: 'Rover', modes: rover }

/** ArduPilot's vehicles by the types that they announce in HEARTBEAT. */
const ardupilotVehicles = new Map<number, ArdupilotVehicle>([
  [MavType.QUADROTOR, arduCopter],
  [MavType.COAXIAL, arduCopter],
  [MavType.HELICOPTER, arduCopter],
  [MavType.HEXAROTOR, arduCopter],
  [MavType.OCTOROTOR, arduCopter],
  [MavType.TRICOPTER, arduCopter],
  [MavType.DODECAROTOR, arduCopter],
  [MavType.DECAROTOR, arduCopter],
  // A quadplane calls itself a plane, or a VTOL of some kind (Q_MAV_TYPE).
  [MavType.FIXED_WING, arduPlane],
  [MavType.VTOL_TAILSITTER_DUOROTOR, arduPlane],
  [MavType.VTOL_TAILSITTER_QUADROTOR, arduPlane],
  [MavType.VTOL_TILTROTOR, arduPlane],
  [MavType.VTOL_FIXEDROTOR, arduPlane],
  [MavType.VTOL_TAILSITTER, arduPlane],
  [MavType.VTOL_TILTWING, arduPlane],
  [MavType.VTOL_RESERVED5, arduPlane],
  [MavType.GROUND_ROVER, arduRover],
  [MavType.SURFACE_BOAT, arduRover],
])

/** @param type MAV_TYPE; undefined where ArduPilot is known by no such type */
export function ardupilotVehicle(type: number): ArdupilotVehicle | undefined {
  return ardupilotVehicles.get(type)
}

/** Such as `ArduCopter` or `PX4`. @param type MAV_TYPE @param autopilot MAV_AUTOPILOT */
export function kindOf(type: number, autopilot: number): string {
  const firmware = firmwareOf(autopilot)
  if (firmware !== 'ArduPilot') return firmware === 'PX4' ? 'PX4' : `autopilot ${autopilot}`
  return ardupilotVehicle(type)?.name ?? 'ArduPilot'
}

/** Name of the flight mode; its number where it has none that is known. */
export function modeName(type: number, autopilot: number, customMode: number): string {
  const name = firmwareOf(autopilot) === 'PX4' ? px4Mode(customMode) : tableOf(type, autopilot)?.[customMode]
  return name || `mode ${customMode}`
}

function tableOf(type: number, autopilot: number): string[] | undefined {
  return firmwareOf(autopilot) === 'ArduPilot' ? ardupilotVehicle(type)?.modes : undefined
}

function px4Mode(customMode: number): string | undefined {
  const main = px4Main[(customMode >>> 16) & 0xff]
  const sub = px4Auto[(customMode >>> 24) & 0xff]
  return main === 'AUTO' && sub ? `AUTO.${sub}` : main
}
