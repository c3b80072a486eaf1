import type { Log } from '@kestrel/runtime'
import { messageOf } from '@kestrel/runtime'
import { filtersOverlap, matchesFilter } from './topics.js'

export type ConnectionState = 'up' | 'down'

/** Takes one message; `payload` is its own copy. What it throws is logged and goes no further. */
export type MessageHandler = (topic: string, payload: Uint8Array) => void

/** `detail`: why, in a sentence for people, where there is more to say than the state. */
export type StateHandler = (state: ConnectionState, detail?: string) => void

/** What the broker publishes for a client that vanishes without saying goodbye [MQTT-3.1.2-8]. */
export interface Will {
  topic: string
  payload: Uint8Array
  retain: boolean
  qos: 0 | 1
}

export interface PublishOptions {
  qos?: 0 | 1
  retain?: boolean
  /** Asked at the moment when a message of QoS 1 that waited is about to go out: false drops it. */
  isValid?: () => boolean
}

/** One client's connection to a broker. It heals itself: nobody who holds one has to reconnect or subscribe again. */
export interface Connection {
  /**
   * QoS 1: resolves once the broker has taken the message, however many reconnections later; rejects with
   * `PublishDropped` when it was pushed out of the bounded queue, was not valid any more, or the connection was closed. QoS 0 (the
   * default): resolves at once, whether it was sent or dropped because the link is down or congested.
   * A retained message that still waits is replaced by a newer one of the same topic.
   */
  publish(topic: string, payload: Uint8Array, options?: PublishOptions): Promise<void>
  /** Ends a subscription: its handlers hear nothing more. */
  unsubscribe(filter: string): void
  /**
   * The handler is in place at once; the promise resolves when the broker has confirmed, which may be long
   * after (do not await it on the way up where the broker may be away), and rejects when the broker refuses.
   * After a reconnection retained messages come again. Filters of one connection must not overlap (several
   * handlers of the same filter are well): aedes 1.2 then loses QoS 1 messages of persistent sessions, since the copy
   * that it drops as a repeat takes the stored message with it.
   */
  subscribe(filter: string, handler: MessageHandler): Promise<void>
  /** Calls the handler at each change of state (not for the present one: see `up`). */
  onState(handler: StateHandler): void
  readonly up: boolean
  /** Says goodbye to the broker, so that the will is not published, and releases everything. */
  close(): Promise<void>
}

/** A message that was not delivered to the broker, and will not be. */
export class PublishDropped extends Error {
  override readonly name = 'PublishDropped'
}

/** A subscription that was ended before the broker confirmed it. */
export class SubscriptionEnded extends Error {
  override readonly name = 'SubscriptionEnded'
}

/** The handlers of one connection; shared by every kind of connection. */
export class Handlers {
  readonly #log: Log
  readonly #messages = new Map<string, MessageHandler[]>()
  readonly #states: StateHandler[] = []

  constructor(log: Log) {
    this.#log = log
  }

  get filters(): string[] {
    return [...this.#messages.keys()]
  }

  add(filter: string, handler: MessageHandler): void {
    const overlapping = this.filters.find(other => other !== filter && filtersOverlap(other, filter))
    if (overlapping !== undefined) {
      throw new RangeError(
        `The filter ${filter} overlaps ${overlapping}: a topic must match one filter of a connection`,
      )
    }
    this.#messages.set(filter, [...(this.#messages.get(filter) ?? []), handler])
  }

  remove(filter: string): void {
    this.#messages.delete(filter)
  }

  addState(handler: StateHandler): void {
    this.#states.push(handler)
  }

  /** Hands a message to every handler whose filter matches; a handler that throws harms no other. */
  message(topic: string, payload: Uint8Array): void {
    for (const [filter, handlers] of this.#messages) {
      if (!matchesFilter(filter, topic)) continue
      for (const handler of handlers) {
        this.#guard(`The handler of ${filter} failed on a message of ${topic}`, () => handler(topic, payload))
      }
    }
  }

  state(state: ConnectionState, detail?: string): void {
    for (const handler of this.#states) {
      this.#guard(`A handler of the connection's state failed`, () => handler(state, detail))
    }
  }

  /** Also catches the rejection of an async handler, which its type lets pass as one that returns nothing. */
  #guard(what: string, run: () => unknown): void {
    const failed = (error: unknown) => this.#log.error(`${what}: ${messageOf(error)}`)
    try {
      const result = run()
      if (result instanceof Promise) result.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}
