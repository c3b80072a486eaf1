import type { MavLinkData } from 'mavlink-mappings'

/** One message from another system or component. */
export interface Heard {
  system: number
  component: number
  data: MavLinkData
  /** As it came, zeros that MAVLink 2 cuts off put back: a float that carries an integer's bytes survives only here. */
  payload: Buffer
}

/** All that reading and writing parameters asks of a connection. */
export interface ParameterLink {
  /** Sends at once or not at all: whoever waits for an answer asks again. */
  send(data: MavLinkData): void
  /** From now on our messages come from this system: that of the vehicle, whose companion we are. */
  join(system: number): void
  onMessage(handler: (heard: Heard) => void): void
  close(): Promise<void>
}
