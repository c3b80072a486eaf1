import type { MavLinkData } from 'mavlink-mappings'
import { attitude, globalPosition, gpsRaw, localPosition, vfrHud } from './flight-messages.js'
import type { ParameterTable, Stream } from './parameters.js'
import {
  autopilotVersion,
  batteryStatus,
  extendedSysState,
  heartbeat,
  homePosition,
  missionCurrent,
  sysStatus,
  systemTime,
} from './status-messages.js'
import type { Snapshot } from './vehicle.js'

interface Telemetry {
  make(snapshot: Snapshot): MavLinkData
  /** Sent at the rate of one of ArduPilot's streams, or at one of its own in Hz; 0: only when asked for. */
  rate: Stream | number
}

/** Every message that can be asked for with MAV_CMD_REQUEST_MESSAGE and MAV_CMD_SET_MESSAGE_INTERVAL, by number. */
export const telemetry = new Map<number, Telemetry>([
  [0, { make: heartbeat, rate: 1 }],
  [1, { make: sysStatus, rate: 'EXT_STAT' }],
  [2, { make: systemTime, rate: 'EXTRA3' }],
  [24, { make: gpsRaw, rate: 'EXT_STAT' }],
  [30, { make: attitude, rate: 'EXTRA1' }],
  [32, { make: localPosition, rate: 'POSITION' }],
  [33, { make: globalPosition, rate: 'POSITION' }],
  [42, { make: missionCurrent, rate: 'EXT_STAT' }],
  [74, { make: vfrHud, rate: 'EXTRA2' }],
  [147, { make: batteryStatus, rate: 'EXTRA3' }],
  [148, { make: autopilotVersion, rate: 0 }],
  [242, { make: homePosition, rate: 0 }],
  [245, { make: extendedSysState, rate: 1 }],
])

/** Streams of REQUEST_DATA_STREAM (#66), MAV_DATA_STREAM numbers, that hold some of our messages; 0 is all of them. */
export const dataStreams = new Map<number, Stream>([
  [2, 'EXT_STAT'],
  [6, 'POSITION'],
  [10, 'EXTRA1'],
  [11, 'EXTRA2'],
  [12, 'EXTRA3'],
])

/** Rate at which a message is sent to who has not asked for another, Hz. */
export function defaultHz({ rate }: Telemetry, parameters: ParameterTable): number {
  return typeof rate === 'number' ? rate : parameters.streamHz(rate)
}
