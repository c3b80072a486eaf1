import type { Sender } from '@kestrel/link/mavlink'

/** Who the simulated autopilot is on MAVLink. */
export const autopilotAddress: Sender = { system: 1, component: 1 }
