import { PublishDropped } from './connection.js'

/** A message on its way to the broker. */
export interface OutgoingMessage {
  topic: string
  payload: Uint8Array
  retain: boolean
  isValid: () => boolean
  resolve: () => void
  reject: (error: Error) => void
}

/** Most messages that wait for the broker at once, and most bytes of them. */
const MAX_MESSAGES = 256
const MAX_BYTES = 64 * 1024 * 1024

/** Messages handed to the socket before the broker acknowledged the first of them. */
const WINDOW = 16

/**
 * QoS 1 messages until the broker has acknowledged them: a bounded queue that survives reconnections.
 * Where it is full the oldest message goes.
 */
export class Outgoing {
  #waiting: OutgoingMessage[] = []
  readonly #inFlight = new Set<OutgoingMessage>()
  #bytes = 0
  /** Messages pushed out of the full queue so far. */
  dropped = 0

  /** Bytes that were handed to the socket and not acknowledged. */
  get bytesInFlight(): number {
    let sum = 0
    for (const { payload } of this.#inFlight) sum += payload.length
    return sum
  }

  /** Queues a message; the promise settles when it is acknowledged, or will never be. */
  add(topic: string, payload: Uint8Array, retain: boolean, isValid = () => true): Promise<void> {
    return new Promise((resolve, reject) => {
      const message = { topic, payload, retain, isValid, resolve, reject }
      if (retain) this.#supersede(message)
      this.#waiting.push(message)
      this.#bytes += payload.length
      while (this.#waiting.length > MAX_MESSAGES || (this.#bytes > MAX_BYTES && this.#waiting.length > 1)) {
        const oldest = this.#waiting.shift() as OutgoingMessage
        this.#bytes -= oldest.payload.length
        this.dropped += 1
        oldest.reject(
          new PublishDropped(`A message of ${oldest.topic} was dropped: too many wait for the broker`),
        )
      }
    })
  }

  /** The next message that may be sent now; it is in flight from here on. */
  take(): OutgoingMessage | undefined {
    if (this.#inFlight.size >= WINDOW) return undefined
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
      this.#bytes -= message.payload.length
      if (message.isValid()) {
        this.#inFlight.add(message)
        return message
      }
      message.reject(
        new PublishDropped(`A message of ${message.topic} was dropped: it is not valid any more`),
      )
    }
    return undefined
  }

  /** The broker has taken a message that is in flight. */
  acknowledge(message: OutgoingMessage): void {
    if (this.#inFlight.delete(message)) message.resolve()
  }

  /** The link broke: what was in flight may or may not have arrived, so it goes first on the next one [MQTT-4.4.0-1]. */
  rewind(): void {
    const again = [...this.#inFlight]
    this.#inFlight.clear()
    this.#waiting = [...again, ...this.#waiting]
    this.#bytes += again.reduce((sum, message) => sum + message.payload.length, 0)
  }

  /** Gives up on every message. */
  rejectAll(reason: string): void {
    this.rewind()
    for (const message of this.#waiting) {
      message.reject(new PublishDropped(`A message of ${message.topic} was not sent: ${reason}`))
    }
    this.#waiting = []
    this.#bytes = 0
  }

  /** Of retained messages only the newest of a topic is of use to anybody, so it takes the place of one that waits. */
  #supersede(message: OutgoingMessage): void {
    const at = this.#waiting.findIndex(other => other.retain && other.topic === message.topic)
    if (at < 0) return
    const [older] = this.#waiting.splice(at, 1)
    this.#bytes -= older.payload.length
    older.resolve()
  }
}
