import { decodeEnvelope, encodeEnvelope, type Payload, type PayloadInit } from '@kestrel/link'
import type { Clock } from '@kestrel/runtime'

/** What the payload of one kind says. */
type Value<Case extends Payload['case']> = Extract<Payload, { case: Case }>['value']

/**
 * The radio of a replay: every message is really encoded, counted, and decoded on the other side. What MQTT, TCP and IP
 * would add (about 100 bytes a message) is not counted.
 */
export class LinkMeter {
  readonly #clock: Clock
  uplinkBytes = 0
  downlinkBytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Drone → ground. @returns the payload as the ground reads it */
  up<Case extends Payload['case']>(payload: PayloadInit & { case: Case }): Value<Case> {
    const bytes = encodeEnvelope(payload, { clock: this.#clock })
    this.uplinkBytes += bytes.length
    return received<Case>(bytes)
  }

  /** Ground → drone. @returns the payload as the drone reads it */
  down<Case extends Payload['case']>(payload: PayloadInit & { case: Case }): Value<Case> {
    const bytes = encodeEnvelope(payload, { clock: this.#clock })
    this.downlinkBytes += bytes.length
    return received<Case>(bytes)
  }
}

function received<Case extends Payload['case']>(bytes: Uint8Array): Value<Case> {
  return decodeEnvelope(bytes).payload.value as unknown as Value<Case>
}
