import type { PoseInit, VehicleInit } from '@kestrel/link'
import type { Pose } from './track.js'
import type { Vehicle } from './vehicle.js'

/** The tag of a frame. */
export function poseMessage({ position, attitude }: Pose): PoseInit {
  return {
    positioned: position !== undefined,
    latitudeDeg: position?.latitude,
    longitudeDeg: position?.longitude,
    altitudeM: position?.altitudeM,
    heightM: position?.heightM,
    northMps: position?.northMps,
    eastMps: position?.eastMps,
    downMps: position?.downMps,
    speedMps: position && Math.hypot(position.northMps, position.eastMps),
    rollRad: attitude?.roll,
    pitchRad: attitude?.pitch,
    yawRad: attitude?.yaw,
  }
}

/** The vehicle in the telemetry. */
export function vehicleMessage(
  vehicle: Vehicle,
  nowMs: number,
  counts: { refused: number; seen: number; tagged: number },
): VehicleInit {
  const { autopilot, state } = vehicle
  const pose = vehicle.poseAt(nowMs)
  const { battery, gps } = state
  return {
    connected: autopilot !== undefined,
    refused: BigInt(counts.refused),
    frames: BigInt(counts.seen),
    framesTagged: BigInt(counts.tagged),
    ...(autopilot && {
      systemId: autopilot.system,
      kind: autopilot.kind,
      armed: autopilot.armed,
      mode: autopilot.mode,
      landedState: state.landed,
      pose: pose && poseMessage(pose),
      batteryV: battery.volts,
      batteryA: battery.amperes,
      batteryPercent: battery.percent,
      gpsFix: gps.fix,
      satellites: gps.satellites,
      airspeedMps: state.airspeedMps,
    }),
  }
}
