import { message } from '@kestrel/link/mavlink'
import { common } from 'mavlink-mappings'
import { throttleOf } from './battery.js'
import type { Snapshot } from './vehicle.js'

const { round, hypot, atan2, PI } = Math

/** Where the vehicle is and how it moves; each message holds the state of exactly its own time. */

/** ATTITUDE (#30). */
export function attitude({ bootMs, state }: Snapshot) {
  return message(common.Attitude, {
    timeBootMs: bootMs,
    roll: state.attitude.roll,
    pitch: state.attitude.pitch,
    yaw: state.attitude.yaw,
    rollspeed: state.rates.roll,
    pitchspeed: state.rates.pitch,
    yawspeed: state.rates.yaw,
  })
}

/** LOCAL_POSITION_NED (#32). */
export function localPosition({ bootMs, state, homeZ }: Snapshot) {
  const { position, velocity } = state
  return message(common.LocalPositionNed, {
    timeBootMs: bootMs,
    x: position.y,
    y: position.x,
    z: homeZ - position.z,
    vx: velocity.y,
    vy: velocity.x,
    vz: -velocity.z,
  })
}

/** GLOBAL_POSITION_INT (#33): x is north, y east, z down. */
export function globalPosition({ bootMs, state, place, homeZ }: Snapshot) {
  const { position, velocity } = state
  return message(common.GlobalPositionInt, {
    timeBootMs: bootMs,
    lat: round(place.latitude * 1e7),
    lon: round(place.longitude * 1e7),
    alt: round(position.z * 1000),
    relativeAlt: round((position.z - homeZ) * 1000),
    vx: round(velocity.y * 100),
    vy: round(velocity.x * 100),
    vz: round(-velocity.z * 100),
    hdg: centidegrees(state.attitude.yaw),
  })
}

/** GPS_RAW_INT (#24): a good 3D fix. */
export function gpsRaw({ bootMs, state, place }: Snapshot) {
  const { position, velocity } = state
  const alt = round(position.z * 1000)
  return message(common.GpsRawInt, {
    timeUsec: BigInt(bootMs) * 1000n,
    fixType: common.GpsFixType.GPS_FIX_TYPE_3D_FIX,
    lat: round(place.latitude * 1e7),
    lon: round(place.longitude * 1e7),
    alt,
    eph: 70,
    epv: 110,
    vel: round(hypot(velocity.x, velocity.y) * 100),
    cog: centidegrees(atan2(velocity.x, velocity.y)),
    satellitesVisible: 14,
    altEllipsoid: alt,
    hAcc: 600,
    vAcc: 900,
    velAcc: 200,
    hdgAcc: 0,
    // 0: this receiver tells no yaw.
    yaw: 0,
  })
}

/** VFR_HUD (#74). Without an airspeed sensor the airspeed is the speed over the ground. */
export function vfrHud({ state }: Snapshot) {
  const { velocity, position } = state
  const speed = hypot(velocity.x, velocity.y)
  return message(common.VfrHud, {
    airspeed: speed,
    groundspeed: speed,
    heading: Math.floor(centidegrees(state.attitude.yaw) / 100),
    throttle: round(throttleOf(state) * 100),
    alt: position.z,
    climb: velocity.z,
  })
}

/** Clockwise from north, 0..35999. */
function centidegrees(angle: number): number {
  return ((round((angle * 18_000) / PI) % 36_000) + 36_000) % 36_000
}
