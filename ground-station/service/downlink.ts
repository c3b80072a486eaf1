import { type Connection, delivery, encodeEnvelope, type PayloadInit, topic, type What } from '@kestrel/link'
import { type Clock, type Log, messageOf } from '@kestrel/runtime'
import type { Drone } from '../fleet/drone.js'
import type { OutgoingUpdate } from '../session/chain.js'
import { updateParts } from '../session/parts.js'
import type { SharedDrones } from './ownership.js'

/** Signs what goes to a topic; messages that belong together with one number. */
export interface MessageSigner {
  signAll(topic: string, messages: Uint8Array[]): Uint8Array[]
}

/** What the ground says to drones: signed, and where ground stations share them only by the one that teaches. */
export class Downlink {
  readonly #connection: Connection
  readonly #signer: MessageSigner | undefined
  readonly #shared: SharedDrones | undefined
  readonly #uplinkKbps: number
  readonly #clock: Clock
  readonly #onMessage: (drone: string, what: What, bytes: Uint8Array) => void
  readonly #log: Log
  #ended = false

  constructor(options: {
    connection: Connection
    signer: MessageSigner | undefined
    shared: SharedDrones | undefined
    uplinkKbps: number
    clock: Clock
    /** Called with every message as it leaves. */
    onMessage: (drone: string, what: What, bytes: Uint8Array) => void
    log: Log
  }) {
    this.#connection = options.connection
    this.#signer = options.signer
    this.#shared = options.shared
    this.#uplinkKbps = options.uplinkKbps
    this.#clock = options.clock
    this.#onMessage = options.onMessage
    this.#log = options.log
  }

  /** What does not arrive from here on is no news. */
  end(): void {
    this.#ended = true
  }

  /** Messages that belong together. Where they do not arrive the log says so. */
  send(drone: string, what: What, payloads: PayloadInit[]): void {
    const shared = this.#shared
    const term = shared?.term(drone)
    if (shared !== undefined && term === undefined) return
    const isValid = shared && (() => shared.term(drone) === term)
    const name = topic(drone, what)
    const { qos, retain } = delivery[what]
    const messages = payloads.map(payload => encodeEnvelope(payload, { clock: this.#clock }))
    for (const message of this.#signer?.signAll(name, messages) ?? messages) {
      this.#onMessage(drone, what, message)
      this.#connection.publish(name, message, { qos, retain, isValid }).catch(error => {
        if (!this.#ended) this.#log.warn(`A ${what} message to ${drone} was not sent: ${messageOf(error)}`)
      })
    }
  }

  receipt(drone: string, segment: Uint8Array): void {
    this.send(drone, 'receipt', [{ case: 'receipt', value: { segment } }])
  }

  update(drone: string, update: OutgoingUpdate): void {
    this.send(
      drone,
      'update',
      updateParts(update).map(value => ({ case: 'update', value })),
    )
  }

  /** How the drone is to sample; only where that is other than it was told last. */
  control(drone: Drone): void {
    const { name, lesson, rejectDigest } = drone
    const term = this.#shared?.term(name) ?? 0
    const { toldFps: samplingFps, periodS: updatePeriodS } = lesson
    const same = { samplingFps, updatePeriodS, uplinkKbps: this.#uplinkKbps, paused: false, rejectDigest }
    const value = { ...same, term: BigInt(term) }
    const control = JSON.stringify({
      ...same,
      term,
      rejectDigest: Buffer.from(rejectDigest ?? []).toString('hex'),
    })
    if (drone.control === control) return
    drone.control = control
    this.send(name, 'control', [{ case: 'control', value }])
  }
}
