import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { type ObjectStore, Objm } from '@nats-io/obj'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Store } from '../session/store.js'
import type { ClusterConfig } from './config.js'
import { connectNats } from './nats-server.js'

const BUCKET = 'kestrel-sessions'

/** Subjects of what the bucket holds, one for each name (in base64url with padding). */
const META = `$O.${BUCKET}.M.`

/** A session of a large student has some 50 MB; on a network that takes some seconds. */
const MOST_MS = 30_000

interface Opened {
  connection: NatsConnection
  manager: JetStreamManager
  objects: ObjectStore
}

/** Pieces as objects of a JetStream object store. */
export class NatsStore implements Store {
  readonly #config: ClusterConfig
  #opened: Promise<Opened> | undefined

  constructor(config: ClusterConfig) {
    this.#config = config
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    // While it is replaced, its chunks go: then there is a new one.
    return (await this.#ask(({ objects }) => objects.getBlob(name))) ?? undefined
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#ask(({ objects }) => objects.putBlob({ name }, bytes))
  }

  async remove(name: string): Promise<void> {
    await this.#ask(async ({ objects, manager }) => {
      await objects.delete(name)
      // A mark that it was deleted is left, one for each name that ever was: frames have new names all the time.
      const encoded = Buffer.from(name).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
      const filter = `${META}${encoded}`
      await manager.streams.purge(`OBJ_${BUCKET}`, { filter })
    })
  }

  async list(prefix: string): Promise<string[]> {
    // The library's own list counts on how many are pending, which nats-server 2.9 gets wrong at times; then it waits for half a minute.
    const info = await this.#ask(({ manager }) =>
      manager.streams.info(`OBJ_${BUCKET}`, { subjects_filter: `${META}*` }),
    )
    return Object.keys(info.state.subjects ?? {})
      .map(subject => Buffer.from(subject.slice(META.length), 'base64url').toString())
      .filter(name => name.startsWith(prefix))
      .sort()
  }

  async close(): Promise<void> {
    const opened = await Promise.race([this.#opened?.catch(() => undefined), after(1000)])
    await opened?.connection.close()
  }

  /** @throws Error where the server does not answer in time */
  async #ask<T>(what: (opened: Opened) => Promise<T>): Promise<T> {
    this.#opened ??= this.#open()
    const opening = this.#opened
    const asked = opening.then(what)
    asked.catch(() => {})
    opening.catch(() => {
      this.#opened = undefined
    })
    const result = await Promise.race([asked.then(value => ({ value })), after(MOST_MS)])
    if (result === undefined) throw new Error(`the NATS server has not answered within ${MOST_MS / 1000} s`)
    return result.value
  }

  async #open(): Promise<Opened> {
    const connection = await connectNats(this.#config, 'sessions')
    const manager = await jetstreamManager(connection)
    const buckets = new Objm(connection)
    const { replicas } = this.#config
    // One that was made with other settings is used as it is.
    const objects = await buckets.create(BUCKET, { replicas }).catch(() => buckets.open(BUCKET))
    return { connection, manager, objects }
  }
}

function after(ms: number): Promise<undefined> {
  return new Promise(resolve => {
    setTimeout(() => resolve(undefined), ms).unref()
  })
}
