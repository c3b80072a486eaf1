import { JetStreamApiError } from '@nats-io/jetstream'
import { type KV, type KvEntry, Kvm } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import type { ClusterConfig } from './config.js'
import type { KeyValue, LeaseStore } from './lease-store.js'
import { ASK_MS, connectNats } from './nats-server.js'

const LEASES = 'kestrel-leases'
const TRAINERS = 'kestrel-trainers'

/** The server forgets who has not been heard for so long, ms. */
const FORGOTTEN_MS = 60_000

/** `wrong last sequence`. */
const CONFLICT = 10071

/** Between two attempts to follow what changes, ms. */
const AGAIN_MS = 1000

/** Leases as keys of a JetStream key-value bucket. */
export class NatsLeases implements LeaseStore {
  readonly #config: ClusterConfig
  readonly #opened: Promise<{ connection: NatsConnection; leases: KV; trainers: KV }>
  #closed = false

  constructor(config: ClusterConfig) {
    this.#config = config
    this.#opened = this.#open()
    // Whoever asks gets the error.
    this.#opened.catch(() => {})
  }

  async write(key: string, value: string, revision: number): Promise<number | undefined> {
    const { leases } = await this.#ready()
    try {
      return await (revision === 0 ? leases.create(key, value) : leases.update(key, value, revision))
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === CONFLICT) return undefined
      throw error
    }
  }

  async read(key: string): Promise<KeyValue> {
    const { leases } = await this.#ready()
    const entry = await leases.get(key)
    return entry === null ? { value: undefined, revision: 0 } : toKeyValue(entry)
  }

  async announce(process: string, drones: number): Promise<void> {
    const { trainers } = await this.#ready()
    await trainers.put(process, String(drones))
  }

  watch(on: Parameters<LeaseStore['watch']>[0]): void {
    void this.#follow(
      ({ leases }) => leases,
      entry => on.change(entry.key, toKeyValue(entry)),
    )
    void this.#follow(
      ({ trainers }) => trainers,
      entry => on.announced(entry.key, Number(entry.string())),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    const opened = await Promise.race([this.#opened.catch(() => undefined), late().catch(() => undefined)])
    await opened?.connection.close()
  }

  /** Every key that is there and then each change, over as many lost connections as come. */
  async #follow(
    of: (buckets: { leases: KV; trainers: KV }) => KV,
    tell: (entry: KvEntry) => void,
  ): Promise<void> {
    while (!this.#closed) {
      try {
        const changes = await of(await this.#opened).watch()
        for await (const entry of changes) if (entry.operation === 'PUT') tell(entry)
      } catch {
        // Said by whoever writes: that is once in a quarter of the TTL.
      }
      await new Promise(resolve => setTimeout(resolve, AGAIN_MS).unref())
    }
  }

  /** @throws Error where there has been no connection in time */
  #ready() {
    return Promise.race([this.#opened, late()])
  }

  async #open() {
    const { replicas } = this.#config
    const connection = await connectNats(this.#config, 'leases')
    const manager = new Kvm(connection)
    const bucket = async (name: string, options: object) =>
      // One that was made with other settings is used as it is.
      manager.create(name, { replicas, timeout: ASK_MS, ...options }).catch(() => manager.open(name))
    return {
      connection,
      leases: await bucket(LEASES, { history: 1 }),
      trainers: await bucket(TRAINERS, { history: 1, ttl: FORGOTTEN_MS }),
    }
  }
}

function late(): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error('no connection')), ASK_MS).unref()
  })
}

function toKeyValue(entry: KvEntry): KeyValue {
  return { value: entry.operation === 'PUT' ? entry.string() : undefined, revision: entry.revision }
}
