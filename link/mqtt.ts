import type { Log } from '@kestrel/runtime'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { Backoff } from './backoff.js'
import { checkBrokerUrl } from './broker-url.js'
import {
  type Connection,
  Handlers,
  type MessageHandler,
  type PublishOptions,
  type StateHandler,
  SubscriptionEnded,
  type Will,
} from './connection.js'
import type { BrokerAuth } from './credentials.js'
import { Liveness } from './liveness.js'
import { outageReason } from './outage-reason.js'
import { Outgoing } from './outgoing.js'

export interface MqttOptions {
  /** `mqtt://host:port`, or mqtts, ws, wss. */
  url: string
  /** Stable: the broker keeps the session under it while the client is away. */
  clientId: string
  will?: Will
  /** Anonymous without. */
  auth?: BrokerAuth
  log: Log
  /** The broker keeps nothing while the client is away: for one whose work another takes over. */
  clean?: boolean
  /** Interval of pings. A link from which nothing comes counts as dead after 1.5 times this, and as long as what is under way may take. */
  keepaliveS?: number
  /** Bounds of the wait between two attempts. */
  retryMs?: { min: number; max: number }
}

/** A connection that broke sooner than this after it came up does not reset the back-off. */
const STABLE_MS = 5000

/** With more than this in the socket's buffer, QoS 0 messages are dropped. */
const MAX_UNSENT_BYTES = 1024 * 1024

/** How long `close()` waits for acknowledgements and for the goodbye to go out. */
const GOODBYE_MS = 1000

/** Granted QoS of a refused subscription [MQTT-3.9.3-2]. */
const REFUSED = 128

/**
 * Connects to an MQTT 3.1.1 broker and keeps at it for ever.
 *
 * The session is persistent (clean session off, stable client id): what QoS 1 messages come while the client is
 * away, the broker keeps and delivers on return. Brokers that hold sessions in memory (the embedded one) forget
 * them when they restart; then every filter is subscribed again, and what was sent meanwhile is lost, which
 * the version chain of updates heals. Since delivery starts with the connection, subscribe in the same turn as
 * connecting: a message that finds no handler is gone. What this side publishes with QoS 1 waits in a bounded queue
 * until acknowledged and may be sent twice; receivers drop repeats by message id.
 *
 * One line is logged for each change of state, and one when the reason of an outage changes; none per attempt.
 *
 * @throws UserError when the URL is none, holds a password, or would send a secret unencrypted over a network
 */
export function connectMqtt(options: MqttOptions): Connection {
  checkBrokerUrl(options.url, { secret: options.auth !== undefined })
  return new MqttConnection(options)
}

class MqttConnection implements Connection {
  readonly #options: MqttOptions
  readonly #log: Log
  readonly #place: string
  readonly #handlers: Handlers
  readonly #outgoing = new Outgoing()
  readonly #backoff: Backoff
  readonly #liveness: Liveness
  #pinging: NodeJS.Timeout | undefined
  /** Filters whose confirmation somebody waits for. */
  readonly #unconfirmed = new Map<string, { resolve: () => void; reject: (error: Error) => void }[]>()
  #client: MqttClient | undefined
  #timer: NodeJS.Timeout | undefined
  #stable: NodeJS.Timeout | undefined
  #up = false
  #closed = false
  /** The reason that was logged last while down. */
  #reason: string | undefined

  constructor(options: MqttOptions) {
    this.#options = options
    this.#log = options.log
    this.#place = new URL(options.url).host
    this.#handlers = new Handlers(options.log)
    this.#backoff = new Backoff({
      seed: options.clientId,
      minMs: options.retryMs?.min,
      maxMs: options.retryMs?.max,
    })
    this.#liveness = new Liveness(this.#keepaliveS, performance.now())
    this.#attempt()
  }

  get #keepaliveS(): number {
    return this.#options.keepaliveS ?? 10
  }

  get up(): boolean {
    return this.#up
  }

  onState(handler: StateHandler): void {
    this.#handlers.addState(handler)
  }

  publish(topic: string, payload: Uint8Array, options: PublishOptions = {}): Promise<void> {
    const { qos = 0, retain = false, isValid } = options
    if (qos === 0) {
      const client = this.#client
      const congested = (client?.stream?.writableLength ?? 0) > MAX_UNSENT_BYTES
      if (this.#up && client !== undefined && !congested)
        client.publish(topic, asBuffer(payload), { qos, retain })
      return Promise.resolve()
    }
    const sent = this.#outgoing.add(topic, payload, retain, isValid)
    if (this.#closed) this.#outgoing.rejectAll('the connection is closed')
    this.#flush()
    return sent
  }

  subscribe(filter: string, handler: MessageHandler): Promise<void> {
    this.#handlers.add(filter, handler)
    return new Promise((resolve, reject) => {
      this.#unconfirmed.set(filter, [...(this.#unconfirmed.get(filter) ?? []), { resolve, reject }])
      if (this.#up) this.#subscribeNow([filter])
    })
  }

  unsubscribe(filter: string): void {
    this.#handlers.remove(filter)
    this.#settle([filter], new SubscriptionEnded(`The subscription to ${filter} was ended`))
    if (this.#up) this.#client?.unsubscribe(filter)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#stable)
    clearInterval(this.#pinging)
    const wasUp = this.#up
    this.#up = false
    const client = this.#client
    if (client !== undefined) {
      // Waits for what is in flight, then sends DISCONNECT; a dead link cannot hold us up.
      const ended = new Promise<void>(resolve => client.end(!wasUp, () => resolve()))
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>(resolve => {
        timer = setTimeout(resolve, GOODBYE_MS)
      })
      await Promise.race([ended, late])
      clearTimeout(timer)
      client.stream?.destroy()
    }
    this.#outgoing.rejectAll('the connection was closed')
    this.#settle([...this.#unconfirmed.keys()], new Error('The connection was closed'))
    if (wasUp) this.#handlers.state('down', 'closed')
  }

  /** One attempt is one client of the library, which reconnects and queues nothing by itself. */
  #attempt(): void {
    const { url, clientId, will, auth, clean = false } = this.#options
    const options: IClientOptions = {
      clientId,
      protocolVersion: 4,
      clean,
      keepalive: this.#keepaliveS,
      connectTimeout: 10_000,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      will: will && { ...will, payload: asBuffer(will.payload) },
      ...(auth !== undefined && { username: auth.user, password: auth.secret }),
      ...(auth?.ca !== undefined && { ca: auth.ca }),
      // Pinned to its name, so that its address may change. (The library sets it to the address otherwise.)
      ...(auth?.serverName !== undefined && { servername: auth.serverName }),
      rejectUnauthorized: true,
    }
    const client = mqtt.connect(url, options)
    this.#client = client
    let reason = 'the broker closed the connection'
    client.on('error', error => {
      reason = outageReason(error)
    })
    client.on('connect', () => {
      if (client === this.#client && !this.#closed) this.#connected()
    })
    client.stream?.on('data', () => this.#liveness.heard(performance.now()))
    client.on('message', (topic, payload) => {
      if (client !== this.#client || this.#closed) return
      // A plain Uint8Array: `slice` of the library's Buffer would not copy.
      this.#handlers.message(topic, Uint8Array.from(payload))
    })
    client.on('close', () => {
      if (client !== this.#client || this.#closed) return
      this.#client = undefined
      client.end(true)
      this.#lost(reason)
    })
  }

  #connected(): void {
    this.#up = true
    this.#watchLink()
    this.#reason = undefined
    this.#stable = setTimeout(() => this.#backoff.reset(), STABLE_MS)
    this.#log.info(`Connected to the broker at ${this.#place}`)
    const { filters } = this.#handlers
    // Also where the broker still has the session: filters may be new, and subscribing again does no harm.
    if (filters.length > 0) this.#subscribeNow(filters)
    this.#handlers.state('up')
    this.#flush()
  }

  #lost(reason: string): void {
    const wasUp = this.#up
    this.#up = false
    clearTimeout(this.#stable)
    clearInterval(this.#pinging)
    this.#outgoing.rewind()
    if (wasUp) this.#log.warn(`Lost the broker at ${this.#place}: ${reason}. Trying again until it is back`)
    else if (reason !== this.#reason) {
      this.#log.warn(`Cannot reach the broker at ${this.#place}: ${reason}. Trying again until it answers`)
    }
    this.#reason = reason
    if (wasUp) this.#handlers.state('down', reason)
    this.#timer = setTimeout(() => this.#attempt(), this.#backoff.nextMs())
  }

  /** The library's own pings count answers only, and a slow link has none for as long as a large message takes. */
  #watchLink(): void {
    const client = this.#client!
    let pingedMs = performance.now()
    this.#liveness.heard(pingedMs)
    this.#pinging = setInterval(() => {
      const nowMs = performance.now()
      client.reschedulePing(true)
      const underWay = this.#outgoing.bytesInFlight + (client.stream?.writableLength ?? 0)
      if (this.#liveness.isDead(underWay, nowMs)) {
        this.#liveness.gaveUp(underWay)
        client.onKeepaliveTimeout()
      } else if (nowMs - pingedMs >= 1000 * this.#keepaliveS) {
        pingedMs = nowMs
        client.sendPing()
      }
    }, 250 * this.#keepaliveS)
  }

  #subscribeNow(filters: string[]): void {
    const client = this.#client
    client?.subscribe(filters, { qos: 1 }, (error, granted) => {
      // Broken in between: the next connection subscribes again.
      if (client !== this.#client) return
      const refused = (granted ?? []).filter(({ qos }) => qos === REFUSED).map(grant => grant.topic)
      if (error && refused.length === 0) return
      for (const filter of refused) this.#log.error(`The broker refuses the subscription to ${filter}`)
      this.#settle(
        filters.filter(filter => !refused.includes(filter)),
        undefined,
      )
      this.#settle(refused, new Error(`The broker refuses the subscription to ${refused.join(', ')}`))
    })
  }

  #settle(filters: string[], error: Error | undefined): void {
    for (const filter of filters) {
      const waiting = this.#unconfirmed.get(filter) ?? []
      this.#unconfirmed.delete(filter)
      for (const { resolve, reject } of waiting) error === undefined ? resolve() : reject(error)
    }
  }

  #flush(): void {
    const client = this.#client
    if (!this.#up || client === undefined) return
    for (let message = this.#outgoing.take(); message !== undefined; message = this.#outgoing.take()) {
      const current = message
      const { topic, payload, retain } = current
      client.publish(topic, asBuffer(payload), { qos: 1, retain }, error => {
        if (error || client !== this.#client) return
        this.#outgoing.acknowledge(current)
        this.#liveness.arrived()
        this.#flush()
      })
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
