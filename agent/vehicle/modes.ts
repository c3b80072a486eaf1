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

const planes = new Set<number>([
  MavType.FIXED_WING,
  MavType.VTOL_TAILSITTER_DUOROTOR,
  MavType.VTOL_TAILSITTER_QUADROTOR,
  MavType.VTOL_TILTROTOR,
  MavType.VTOL_FIXEDROTOR,
  MavType.VTOL_TAILSITTER,
  MavType.VTOL_TILTWING,
  MavType.VTOL_RESERVED5,
])
const rovers = new Set<number>([MavType.GROUND_ROVER, MavType.SURFACE_BOAT])
const copters = new Set<number>([
  MavType.QUADROTOR,
  MavType.COAXIAL,
  MavType.HELICOPTER,
  MavType.HEXAROTOR,
  MavType.OCTOROTOR,
  MavType.TRICOPTER,
  MavType.DODECAROTOR,
  MavType.DECAROTOR,
])

/** Such as `ArduCopter` or `PX4`. @param type MAV_TYPE @param autopilot MAV_AUTOPILOT */
export function kindOf(type: number, autopilot: number): string {
  const firmware = firmwareOf(autopilot)
  if (firmware !== 'ArduPilot') return firmware === 'PX4' ? 'PX4' : `autopilot ${autopilot}`
  if (copters.has(type)) return 'ArduCopter'
  if (planes.has(type)) return 'ArduPlane'
  return rovers.has(type) ? 'Rover' : 'ArduPilot'
}

/** Name of the flight mode; its number where it has none that is known. */
export function modeName(type: number, autopilot: number, customMode: number): string {
  const name = firmwareOf(autopilot) === 'PX4' ? px4Mode(customMode) : tableOf(type, autopilot)?.[customMode]
  return name || `mode ${customMode}`
}

function tableOf(type: number, autopilot: number): string[] | undefined {
  if (firmwareOf(autopilot) !== 'ArduPilot') return undefined
  if (copters.has(type)) return copter
  if (planes.has(type)) return plane
  return rovers.has(type) ? rover : undefined
}

function px4Mode(customMode: number): string | undefined {
  const main = px4Main[(customMode >>> 16) & 0xff]
  const sub = px4Auto[(customMode >>> 24) & 0xff]
  return main === 'AUTO' && sub ? `AUTO.${sub}` : main
}
