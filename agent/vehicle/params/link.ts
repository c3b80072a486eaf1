import {
  Hub,
  type Neighbour,
  openEndpoint,
  parseEndpoint,
  type Received,
  type Signing,
  type Transport,
} from '@kestrel/link/mavlink'
import type { Clock, Log } from '@kestrel/runtime'
import type { MavLinkData } from 'mavlink-mappings'

export type MessageHandler = (received: Received, from: Neighbour) => void

/** All that reading and writing parameters asks of a connection. */
export interface ParameterLink {
  /** Sends at once or not at all: whoever waits for an answer asks again. */
  send(data: MavLinkData): void
  /** From now on our messages come from this system: that of the vehicle, whose companion we are. */
  join(system: number): void
  onMessage(handler: MessageHandler): void
  close(): Promise<void>
}

/**
 * MAV_COMP_ID_ONBOARD_COMPUTER4. Not the agent's own 191: it may be flying behind the same router. Nor a ground station's system id, 255:
 * ArduPilot would take our heartbeats for the pilot's (FS_GCS_ENABLE).
 */
const COMPONENT = 194
/** Until the vehicle has been heard. */
const LIKELY_SYSTEM = 1

/**
 * Opens an endpoint for one run of reading and writing.
 *
 * @param endpoint as `vehicle.endpoint` in the configuration, or the transport itself
 * @param options.signing signs what is sent, and refuses what is not signed
 * @throws UserError where it cannot be had
 */
export async function openParameterLink(
  endpoint: string | Transport,
  { clock, log, signing }: { clock: Clock; log: Log; signing?: Signing },
): Promise<ParameterLink> {
  const from = { system: LIKELY_SYSTEM, component: COMPONENT }
  const handlers: MessageHandler[] = []
  const hub = new Hub({
    transport: typeof endpoint === 'string' ? openEndpoint(parseEndpoint(endpoint), clock) : endpoint,
    signing,
    onMessage: (received, neighbour) => {
      for (const handler of handlers) handler(received, neighbour)
    },
    log,
  })
  try {
    await hub.start()
  } catch (error) {
    await hub.stop()
    throw error
  }
  return {
    send: data => hub.send(data, from),
    join: system => {
      from.system = system
    },
    onMessage: handler => {
      handlers.push(handler)
    },
    close: () => hub.stop(),
  }
}
