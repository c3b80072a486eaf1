import { type Log, silentLog } from '@kestrel/runtime'
import {
  type Connection,
  Handlers,
  type MessageHandler,
  PublishDropped,
  type PublishOptions,
  type StateHandler,
  type Will,
} from './connection.js'
import { Outgoing } from './outgoing.js'
import { matchesFilter } from './topics.js'

/** A connection whose link tests and simulations can break. */
export interface MemoryConnection extends Connection {
  /** The link breaks without a goodbye: the broker publishes the will and keeps QoS 1 messages for the return. */
  cut(detail?: string): void
  /** The link is back, and with it what waited on both sides. */
  restore(): void
}

export interface MemoryBroker {
  connect(options?: { will?: Will }): MemoryConnection
}

interface Message {
  topic: string
  payload: Uint8Array
  qos: 0 | 1
  retain: boolean
}

/** Most messages kept for one client that is away; the oldest goes first. */
const MAX_KEPT = 1024

/**
 * A broker in this process, for tests and `evaluate`: retained messages, wildcards, wills and persistent
 * sessions as a real one has them. Messages arrive in order and asynchronously, but in microtasks only, so that
 * a virtual clock stands still meanwhile. `publish` resolves after every connected subscriber was called.
 */
export function memoryBroker(options: { log?: Log } = {}): MemoryBroker {
  const { log = silentLog } = options
  const hub = new Hub()
  return { connect: ({ will } = {}) => hub.join(log, will) }
}

class Hub {
  readonly #clients = new Set<Client>()
  readonly #retained = new Map<string, Message>()
  #queue: { run: () => void; done: () => void }[] = []
  #draining = false

  join(log: Log, will: Will | undefined): Client {
    const client = new Client(this, log, will)
    this.#clients.add(client)
    return client
  }

  leave(client: Client): void {
    this.#clients.delete(client)
  }

  publish(message: Message): Promise<void> {
    return this.enqueue(() => {
      if (message.retain) {
        if (message.payload.length === 0)
          this.#retained.delete(message.topic) // [MQTT-3.3.1-10]
        else this.#retained.set(message.topic, message)
      }
      for (const client of this.#clients) client.offer(message)
    })
  }

  /** The retained messages under a filter, which a new subscription is given first [MQTT-3.3.1-6]. */
  retained(filter: string): Message[] {
    return [...this.#retained.values()].filter(({ topic }) => matchesFilter(filter, topic))
  }

  /** One thing after the other, none of them inside the caller's own turn. */
  enqueue(run: () => void): Promise<void> {
    const done = new Promise<void>(resolve => this.#queue.push({ run, done: resolve }))
    if (!this.#draining) {
      this.#draining = true
      queueMicrotask(() => this.#drain())
    }
    return done
  }

  #drain(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      next.run()
      next.done()
    }
    this.#draining = false
  }
}

class Client implements MemoryConnection {
  readonly #hub: Hub
  readonly #handlers: Handlers
  readonly #will: Will | undefined
  readonly #outgoing = new Outgoing()
  /** Filters whose subscription the broker has processed. */
  readonly #filters = new Set<string>()
  #kept: Message[] = []
  /** Subscriptions made while the link was down. */
  #later: (() => void)[] = []
  #up = true
  #closed = false

  constructor(hub: Hub, log: Log, will: Will | undefined) {
    this.#hub = hub
    this.#handlers = new Handlers(log)
    this.#will = will
  }

  get up(): boolean {
    return this.#up
  }

  onState(handler: StateHandler): void {
    this.#handlers.addState(handler)
  }

  publish(topic: string, payload: Uint8Array, options: PublishOptions = {}): Promise<void> {
    const { qos = 0, retain = false, isValid } = options
    if (qos === 1 && this.#closed) {
      return Promise.reject(
        new PublishDropped(`A message of ${topic} was not sent: the connection is closed`),
      )
    }
    if (this.#up) return this.#hub.publish({ topic, payload: payload.slice(), qos, retain })
    return qos === 0 ? Promise.resolve() : this.#outgoing.add(topic, payload.slice(), retain, isValid)
  }

  subscribe(filter: string, handler: MessageHandler): Promise<void> {
    this.#handlers.add(filter, handler)
    if (this.#up) return this.#register(filter)
    return new Promise(resolve => this.#later.push(() => void this.#register(filter).then(resolve)))
  }

  unsubscribe(filter: string): void {
    this.#handlers.remove(filter)
    void this.#hub.enqueue(() => this.#filters.delete(filter))
  }

  offer(message: Message): void {
    if (![...this.#filters].some(filter => matchesFilter(filter, message.topic))) return
    if (this.#up) this.#handlers.message(message.topic, message.payload.slice())
    else if (message.qos === 1) {
      this.#kept.push(message)
      if (this.#kept.length > MAX_KEPT) this.#kept.shift()
    }
  }

  cut(detail = 'the link was cut'): void {
    if (!this.#up) return
    this.#up = false
    if (this.#will !== undefined)
      void this.#hub.publish({ ...this.#will, payload: this.#will.payload.slice() })
    this.#handlers.state('down', detail)
  }

  restore(): void {
    if (this.#up || this.#closed) return
    this.#up = true
    const kept = this.#kept
    this.#kept = []
    void this.#hub.enqueue(() => {
      for (const { topic, payload } of kept) this.#handlers.message(topic, payload.slice())
    })
    // As the MQTT connection does: every filter again, and with it what is retained.
    for (const filter of this.#filters) void this.#register(filter)
    for (const subscribe of this.#later.splice(0)) subscribe()
    this.#handlers.state('up')
    this.#flush()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const wasUp = this.#up
    this.#up = false
    this.#hub.leave(this)
    this.#outgoing.rejectAll('the connection was closed')
    if (wasUp) this.#handlers.state('down', 'closed')
  }

  #register(filter: string): Promise<void> {
    return this.#hub.enqueue(() => {
      this.#filters.add(filter)
      if (!this.#up) return
      for (const { topic, payload } of this.#hub.retained(filter))
        this.#handlers.message(topic, payload.slice())
    })
  }

  #flush(): void {
    for (let message = this.#outgoing.take(); message !== undefined; message = this.#outgoing.take()) {
      const current = message
      void this.#hub.publish({ ...current, qos: 1 }).then(() => {
        this.#outgoing.acknowledge(current)
        this.#flush()
      })
    }
  }
}
