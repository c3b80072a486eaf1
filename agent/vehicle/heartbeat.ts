import { message } from '@kestrel/link/mavlink'
import { minimal } from 'mavlink-mappings'

/** HEARTBEAT (#0) of a component that is no autopilot. @param type MAV_TYPE */
export function heartbeat(type: minimal.MavType): minimal.Heartbeat {
  return message(minimal.Heartbeat, {
    type,
    autopilot: minimal.MavAutopilot.INVALID,
    baseMode: 0 as minimal.MavModeFlag,
    customMode: 0,
    systemStatus: minimal.MavState.ACTIVE,
    mavlinkVersion: 3,
  })
}
