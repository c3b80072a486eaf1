import {
  type Connection,
  type MemoryBroker,
  type MemoryConnection,
  type MessageHandler,
  memoryBroker,
  PublishDropped,
  type StateHandler,
  type Will,
} from '@kestrel/link'
import type { Rng } from '@kestrel/runtime'
import type { SimClock } from './sim-clock.js'

/** What a way does to messages. Shares are 0..1. */
export interface Conditions {
  /** One way, ms. */
  delayMs: number
  bytesPerS: number
  /** Messages that come once more, up to 30 s later. */
  duplicates: number
  /** Messages that take up to 20 s more, so that others overtake them. */
  reordered: number
  /** QoS 0 messages that never come. */
  lost: number
}

export const fine: Conditions = { delayMs: 20, bytesPerS: 1e6, duplicates: 0, reordered: 0, lost: 0 }

/** Silent for this long, a link counts as dead, ms: 1.5 times the keep-alive. */
const DEAD_MS = 15_000

interface Sent {
  topic: string
  payload: Uint8Array
  qos: 0 | 1
  retain: boolean
}

/** A broker and the radio around it, in virtual time: everything that a link may do to messages, driven by a seed. */
export class Network {
  readonly clock: SimClock
  readonly rng: Rng
  broker: MemoryBroker = memoryBroker()
  readonly #ends = new Set<NetworkEnd>()
  readonly #conditions = new Map<string, Conditions>()
  readonly #down = new Map<string, number>()
  #brokerDown = 0
  /** Sees every message at the moment at which somebody publishes it. */
  onPublish: (topic: string, payload: Uint8Array) => void = () => {}

  constructor(options: { clock: SimClock; rng: Rng }) {
    this.clock = options.clock
    this.rng = options.rng
  }

  /** A new process of this name. */
  connect(name: string, will?: Will): NetworkEnd {
    const end = new NetworkEnd(this, name, will)
    this.#ends.add(end)
    return end
  }

  leave(end: NetworkEnd): void {
    this.#ends.delete(end)
  }

  conditions(name: string): Conditions {
    return this.#conditions.get(name) ?? fine
  }

  setConditions(name: string, conditions: Conditions | undefined): void {
    if (conditions === undefined) this.#conditions.delete(name)
    else this.#conditions.set(name, conditions)
  }

  isReachable(name: string): boolean {
    return this.#brokerDown === 0 && (this.#down.get(name) ?? 0) === 0
  }

  /** No link for some time. Outages may overlap. @param noticed false: half-open, nobody is told until the keep-alive is over */
  async outage(name: string, ms: number, noticed = true): Promise<void> {
    this.#down.set(name, (this.#down.get(name) ?? 0) + 1)
    if (noticed) this.#update(name)
    else void this.clock.sleep(DEAD_MS).then(() => this.#update(name))
    await this.clock.sleep(ms)
    this.#down.set(name, (this.#down.get(name) ?? 1) - 1)
    this.#update(name)
  }

  /** The broker dies with all that it held in memory, and comes back. */
  async restartBroker(ms: number): Promise<void> {
    this.#brokerDown++
    for (const end of this.#ends) end.update()
    this.broker = memoryBroker()
    for (const end of this.#ends) end.rejoin()
    await this.clock.sleep(ms)
    this.#brokerDown--
    for (const end of this.#ends) end.update()
  }

  #update(name: string): void {
    for (const end of this.#ends) if (end.name === name) end.update()
  }
}

/** One process' connection, as the MQTT one behaves: QoS 1 is sent until acknowledged, subscriptions come back by themselves. */
export class NetworkEnd implements Connection {
  readonly name: string
  readonly #network: Network
  readonly #will: Will | undefined
  readonly #filters = new Map<string, MessageHandler>()
  readonly #states: StateHandler[] = []
  #base!: MemoryConnection
  /** Goes up when what is under way belongs to a broker that is gone. */
  #generation = 0
  #up = true
  #dead = false
  #wake: (() => void)[] = []
  #busyUntilMs = { up: 0, down: 0 }

  constructor(network: Network, name: string, will: Will | undefined) {
    this.#network = network
    this.name = name
    this.#will = will
    this.#base = network.broker.connect()
    if (!network.isReachable(name)) {
      this.#up = false
      this.#base.cut()
    }
  }

  get up(): boolean {
    return this.#up
  }

  onState(handler: StateHandler): void {
    this.#states.push(handler)
  }

  subscribe(filter: string, handler: MessageHandler): Promise<void> {
    this.#filters.set(filter, handler)
    return this.#register(filter)
  }

  unsubscribe(filter: string): void {
    this.#filters.delete(filter)
    this.#base.unsubscribe(filter)
  }

  async publish(
    topic: string,
    payload: Uint8Array,
    options: { qos?: 0 | 1; retain?: boolean } = {},
  ): Promise<void> {
    const { qos = 0, retain = false } = options
    const message: Sent = { topic, payload: payload.slice(), qos, retain }
    this.#network.onPublish(topic, payload)
    const { lost, duplicates } = this.#network.conditions(this.name)
    if (this.#dead) throw new PublishDropped(`A message of ${topic} was not sent: the connection is closed`)
    if (qos === 0) {
      if (this.#up && this.#network.rng.float() >= lost) void this.#carry(message).catch(() => {})
      return
    }
    if (this.#network.rng.float() < duplicates) void this.#again(message)
    await this.#carry(message)
    // The broker's word takes its time, too.
    await this.#transit(64, 'down')
  }

  /** The process dies, here and now: nothing of what it meant to do happens any more. */
  kill(): void {
    this.#dead = true
    this.#filters.clear()
    this.#states.length = 0
    this.#network.leave(this)
    for (const wake of this.#wake.splice(0)) wake()
    void this.#leaveWill()
    void this.#base.close()
  }

  async close(): Promise<void> {
    if (!this.#dead) this.kill()
  }

  /** Follows the state of the link. */
  update(): void {
    const up = this.#network.isReachable(this.name)
    // Also after an outage that was over before anybody noticed.
    if (up) for (const wake of this.#wake.splice(0)) wake()
    if (up === this.#up || this.#dead) return
    this.#up = up
    if (up) {
      this.#base.restore()
    } else {
      void this.#leaveWill()
      this.#base.cut()
    }
    for (const handler of this.#states) handler(up ? 'up' : 'down')
  }

  /** The broker is another one now. */
  rejoin(): void {
    this.#generation++
    void this.#base.close()
    this.#base = this.#network.broker.connect()
    if (!this.#up) this.#base.cut()
    for (const filter of this.#filters.keys()) void this.#register(filter)
  }

  #register(filter: string): Promise<void> {
    const generation = this.#generation
    return this.#base.subscribe(filter, (topic, payload) => {
      const { duplicates } = this.#network.conditions(this.name)
      void this.#arrive(filter, topic, payload, generation)
      if (this.#network.rng.float() >= duplicates) return
      void this.#network.clock
        .sleep(30_000 * this.#network.rng.float())
        .then(() => this.#arrive(filter, topic, payload, generation))
    })
  }

  async #arrive(filter: string, topic: string, payload: Uint8Array, generation: number): Promise<void> {
    await this.#transit(payload.length, 'down')
    while (!this.#network.isReachable(this.name) || !this.#up) {
      if (this.#dead) return
      await new Promise<void>(resolve => this.#wake.push(resolve))
    }
    // What a broker that is gone had not delivered, nobody delivers.
    if (this.#dead || generation !== this.#generation) return
    this.#filters.get(filter)?.(topic, payload)
  }

  async #again(message: Sent): Promise<void> {
    await this.#network.clock.sleep(30_000 * this.#network.rng.float())
    await this.#carry(message).catch(() => {})
  }

  /** To the broker, whichever it is by then; QoS 1 as often as it takes. */
  async #carry(message: Sent): Promise<void> {
    const { topic, payload, qos, retain } = message
    await this.#transit(payload.length, 'up')
    for (;;) {
      // What a dead process had handed over may be on its way all the same.
      if (this.#dead && this.#network.rng.float() < 0.5)
        throw new PublishDropped(`A message of ${topic} was not sent: the process died`)
      while (!this.#network.isReachable(this.name)) {
        if (this.#dead || qos === 0) throw new PublishDropped(`A message of ${topic} was not sent`)
        await new Promise<void>(resolve => this.#wake.push(resolve))
      }
      const base = this.#dead ? this.#network.broker.connect() : this.#base
      const generation = this.#generation
      try {
        await base.publish(topic, payload, { qos, retain })
        if (this.#dead) await base.close()
        return
      } catch (error) {
        if (qos === 0 || this.#dead || generation === this.#generation) throw error
      }
    }
  }

  async #leaveWill(): Promise<void> {
    const will = this.#will
    if (will === undefined) return
    const { clock, rng } = this.#network
    // Brokers notice a lost client when they please, also after it is back.
    await clock.sleep(20_000 * rng.float() * rng.float())
    const { topic, payload, qos, retain } = will
    const undertaker = this.#network.broker.connect()
    await undertaker.publish(topic, payload, { qos, retain })
    await undertaker.close()
  }

  /** The way takes the link's time for that many bytes, one message after the other. */
  async #transit(bytes: number, way: 'up' | 'down'): Promise<void> {
    const { clock, rng } = this.#network
    const { delayMs, bytesPerS, reordered } = this.#network.conditions(this.name)
    const beginMs = Math.max(clock.nowMs(), this.#busyUntilMs[way])
    this.#busyUntilMs[way] = beginMs + (1000 * bytes) / bytesPerS
    const later = rng.float() < reordered ? 20_000 * rng.float() : 0
    await clock.sleep(this.#busyUntilMs[way] - clock.nowMs() + delayMs + later)
  }
}
