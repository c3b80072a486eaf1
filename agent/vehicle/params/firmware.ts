import { ardupilotVehicle } from '@kestrel/link/mavlink'
import { minimal, standard } from 'mavlink-mappings'
import type { Encoding } from './value.js'

export interface Firmware {
  /** As in the names of firmware-config's files: copter, plane, rover, px4; undefined where none is for it. */
  vehicle: string | undefined
  /** For messages, such as ArduCopter 4.6.1. */
  name: string
  version: { major: number; minor: number; patch: number } | undefined
}

const { MavAutopilot } = minimal

/**
 * @param heartbeat `type` and `autopilot` of HEARTBEAT
 * @param flightSwVersion of AUTOPILOT_VERSION: major, minor, patch and kind, a byte each
 */
export function identify(
  heartbeat: { type: number; autopilot: number },
  flightSwVersion: number | undefined,
): Firmware {
  const version =
    flightSwVersion === undefined
      ? undefined
      : {
          major: (flightSwVersion >>> 24) & 0xff,
          minor: (flightSwVersion >>> 16) & 0xff,
          patch: (flightSwVersion >>> 8) & 0xff,
        }
  const suffix = version === undefined ? '' : ` ${version.major}.${version.minor}.${version.patch}`
  if (heartbeat.autopilot === MavAutopilot.PX4) return { vehicle: 'px4', name: `PX4${suffix}`, version }
  if (heartbeat.autopilot === MavAutopilot.ARDUPILOTMEGA) {
    const vehicle = ardupilotVehicle(heartbeat.type)
    const name = vehicle?.name ?? `ArduPilot (type ${heartbeat.type})`
    return { vehicle: vehicle?.id, name: `${name}${suffix}`, version }
  }
  return { vehicle: undefined, name: `autopilot of kind ${heartbeat.autopilot}${suffix}`, version }
}

/** MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_*, bits of a uint64. */
const BYTEWISE = BigInt(standard.MavProtocolCapability.PARAM_ENCODE_BYTEWISE)
const C_CAST = BigInt(standard.MavProtocolCapability.PARAM_ENCODE_C_CAST)

/**
 * How the autopilot puts values into floats: as its capabilities say, and where they say nothing or could not be had, as its firmware
 * is known to.
 */
export function encodingOf(autopilot: number, capabilities: bigint | undefined): Encoding {
  if (capabilities !== undefined && (capabilities & BYTEWISE) !== 0n) return 'bytewise'
  if (capabilities !== undefined && (capabilities & C_CAST) !== 0n) return 'c-cast'
  return autopilot === MavAutopilot.PX4 ? 'bytewise' : 'c-cast'
}
