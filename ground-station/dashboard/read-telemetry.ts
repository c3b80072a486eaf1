import type { Board, Telemetry, Vehicle } from '@kestrel/link'
import type { DroneState } from './wire.js'

/* What a drone tells of itself, as the page shows it. */

export function telemetryOf(telemetry: Telemetry, nowMs: number): DroneState['telemetry'] {
  const { fps, latencyP50Ms, latencyP99Ms, outboxSegments, samplingFps } = telemetry
  return {
    ...{ timeMs: nowMs, fps, latencyP50Ms, latencyP99Ms, outboxSegments, samplingFps },
    frames: Number(telemetry.frames),
    framesDropped: Number(telemetry.framesDropped),
    segmentsDropped: Number(telemetry.segmentsDropped),
  }
}

export function vehicleOf(vehicle: Vehicle | undefined): DroneState['vehicle'] {
  if (vehicle === undefined) return undefined
  const { connected, kind, armed, mode, gpsFix, satellites, batteryV, batteryA, batteryPercent, pose } =
    vehicle
  return {
    ...{ connected, kind, armed, mode, gpsFix, satellites, batteryV, batteryA, batteryPercent },
    ...(pose?.positioned && { speedMps: pose.speedMps, heightM: pose.heightM }),
  }
}

export function boardOf(board: Board | undefined): DroneState['board'] {
  if (board === undefined) return undefined
  const { model, cpu, memory, temperatureC, limitFps, limitReason } = board
  const troubles = [
    board.underVoltage && 'under-voltage',
    board.thermalThrottled && 'throttled by heat',
    board.cpuThrottled && !board.thermalThrottled && 'throttled',
    board.diskFull && 'disk full',
    limitFps > 0 && `at most ${limitFps.toFixed(1)} frames/s: ${limitReason}`,
  ].filter(text => text !== false)
  return { model, cpu, memory, temperatureC, troubles, ...(limitFps > 0 && { limitFps }) }
}

/** Latitude, longitude, height above home and heading, of the last columns of the history. */
export function positionOf(vehicle: Vehicle | undefined): (number | null)[] {
  const pose = vehicle?.pose
  if (pose === undefined || !pose.positioned) return [null, null, null, null]
  const { latitudeDeg, longitudeDeg, heightM, yawRad } = pose
  const heading = yawRad === undefined ? null : Math.round((((yawRad * 180) / Math.PI) % 360) + 360) % 360
  // 10⁻⁶ degrees are a tenth of a metre.
  return [
    Number(latitudeDeg.toFixed(6)),
    Number(longitudeDeg.toFixed(6)),
    Number(heightM.toFixed(1)),
    heading,
  ]
}
