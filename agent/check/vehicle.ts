import { Hub, loadSigningKey, openEndpoint, parseEndpoint } from '@kestrel/link/mavlink'
import { type Clock, RealClock, silentLog, UserError } from '@kestrel/runtime'
import { minimal } from 'mavlink-mappings'
import type { AgentConfig } from '../service/config.js'
import type { AgentStatus } from '../service/status-module.js'
import { type Autopilot, AutopilotWatch } from '../vehicle/autopilot-watch.js'
import { heartbeat } from '../vehicle/heartbeat.js'

/** An autopilot has a heartbeat a second. */
const LISTEN_S = 5

/** MAV_COMP_ID_ONBOARD_COMPUTER4: the agent itself may be flying behind the same router. */
const from = { system: 1, component: minimal.MavComponent.ONBOARD_COMPUTER4 }

/** Listens for the autopilot. @throws UserError where it is not heard */
export async function checkVehicle(
  { vehicle }: AgentConfig,
  running: AgentStatus | undefined,
): Promise<string> {
  if (vehicle === undefined) {
    return 'none in the configuration: frames carry no position (section vehicle of agent.yaml)'
  }
  const { endpoint, system, signingKey } = vehicle
  const help = 'check the wiring, the baud rate, and SERIALn_PROTOCOL or MAV_n_CONFIG of the autopilot'
  if (running?.vehicle !== undefined) {
    const { connected, kind, mode } = running.vehicle
    if (!connected)
      throw new UserError(`${endpoint}: no autopilot is heard (says the agent that runs): ${help}`)
    return `${endpoint}: ${kind}, ${mode} (says the agent that runs)`
  }
  if (signingKey !== undefined) loadSigningKey(signingKey)
  const clock: Clock = new RealClock()
  const watch = new AutopilotWatch({ system })
  const heard = new AbortController()
  const hub = new Hub({
    transport: openEndpoint(parseEndpoint(endpoint), clock),
    onMessage({ from, data }, neighbour) {
      if (data instanceof minimal.Heartbeat && watch.heard(from, data, neighbour, clock.nowMs()))
        heard.abort()
    },
    log: silentLog,
  })
  try {
    await hub.start()
    for (let second = 0; second < LISTEN_S && !heard.signal.aborted; second++) {
      // Some answer only who speaks first.
      hub.send(heartbeat(minimal.MavType.ONBOARD_CONTROLLER), from)
      await clock.sleep(1000, heard.signal)
    }
    const autopilot: Autopilot | undefined = watch.present
    if (autopilot !== undefined)
      return `${endpoint}: ${autopilot.kind}, system ${autopilot.system}, ${autopilot.mode}`
    const { messages, broken } = hub.counts
    if (messages > 0)
      throw new UserError(`${endpoint}: MAVLink, but no autopilot's heartbeat: see vehicle.system`)
    const noise = broken > 0 ? 'bytes that are no MAVLink' : `nothing is heard for ${LISTEN_S} s`
    throw new UserError(`${endpoint}: ${noise}: ${help}`)
  } finally {
    await hub.stop()
  }
}
