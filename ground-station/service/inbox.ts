import {
  type Connection,
  Deduplicator,
  decodeEnvelope,
  delivery,
  everyDrone,
  type FullEnvelope,
  MessageRefused,
  parseTopic,
  SubscriptionEnded,
  topic,
  type What,
} from '@kestrel/link'
import { type Incidents, type Log, messageOf } from '@kestrel/runtime'

/** What is listened to. Not the whole tree: the ground's own updates would come back. */
const heard: What[] = ['status', 'telemetry', 'segment', 'update-result', 'resync', 'command-result']

/** Where several ground stations share the drones, this is heard from those that one teaches itself; the status of all. */
const heardFromOwn = heard.filter(what => what !== 'status')

/** A message that can be read and came to where it belongs. */
export interface Heard {
  drone: string
  what: What
  envelope: FullEnvelope
  bytes: Uint8Array
}

/** What the ground hears from drones: whatever cannot be read, or came to the wrong topic, is counted and goes no further. */
export class Inbox {
  readonly #connection: Connection
  readonly #incidents: Incidents
  readonly #isForUs: (message: Heard) => boolean
  readonly #onMessage: (message: Heard) => void
  readonly #onRepeat: (message: Heard) => void
  readonly #log: Log
  readonly #repeats = new Deduplicator(4096)
  #ended = false

  constructor(options: {
    connection: Connection
    incidents: Incidents
    /** Asked of every message; those of drones that another ground station teaches are not ours. */
    isForUs: (message: Heard) => boolean
    onMessage: (message: Heard) => void
    /** A message that came before. */
    onRepeat: (message: Heard) => void
    log: Log
  }) {
    this.#connection = options.connection
    this.#incidents = options.incidents
    this.#isForUs = options.isForUs
    this.#onMessage = options.onMessage
    this.#onRepeat = options.onRepeat
    this.#log = options.log
  }

  /** Begins to listen. @param options.onlyStatus of all drones: the rest with `open`, drone by drone */
  start({ onlyStatus }: { onlyStatus: boolean }): void {
    for (const what of onlyStatus ? heard.slice(0, 1) : heard) this.#listen(everyDrone(what))
  }

  /** Hears all of a drone, where only the status of all was heard. */
  open(drone: string): void {
    for (const what of heardFromOwn) this.#listen(topic(drone, what))
  }

  close(drone: string): void {
    for (const what of heardFromOwn) this.#connection.unsubscribe(topic(drone, what))
  }

  /** Nothing is taken from here on. */
  end(): void {
    this.#ended = true
  }

  #listen(filter: string): void {
    this.#connection
      .subscribe(filter, (name, payload) => this.#take(name, payload))
      .catch(error => {
        if (!this.#ended && !(error instanceof SubscriptionEnded))
          this.#log.error(`Subscribing to ${filter}: ${messageOf(error)}`)
      })
  }

  #take(name: string, bytes: Uint8Array): void {
    const address = parseTopic(name)
    if (address === undefined || this.#ended) return
    const { drone, what } = address
    let envelope: FullEnvelope
    try {
      envelope = decodeEnvelope(bytes)
    } catch (error) {
      if (!(error instanceof MessageRefused)) throw error
      this.#incidents.add(error.reason, `A ${what} message of ${drone} is of no use: ${error.message}`)
      return
    }
    const { id, payload } = envelope
    if (payload.case !== delivery[what].payload) {
      this.#incidents.add('wrong-topic', `A ${payload.case} message came to ${name}: left aside`)
      return
    }
    const message = { drone, what, envelope, bytes }
    if (!this.#isForUs(message)) return
    if (this.#repeats.isRepeat(id)) this.#onRepeat(message)
    else this.#onMessage(message)
  }
}
