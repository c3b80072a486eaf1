import { type Log, messageOf } from '@kestrel/runtime'
import { type Instant, Lease, type LeaseRecord, type LeaseWrite } from './lease.js'
import type { KeyValue, LeaseStore } from './lease-store.js'
import { Peers } from './peers.js'

/** The numbers that signatures count up (security/signer.ts). */
export interface Numbers {
  readonly next: bigint
  /** Goes on from here at least. */
  raise(to: bigint): void
}

/** Numbers that a lease sets aside until its next renewal. */
const NUMBERS = 1000n

/** For each drone that a process has already it lets others go first this long, share of the TTL; at most so many count. */
const MODESTY = 1 / 16
const MOST_MODEST = 4

/** Names come from outside: there must be a bound, of drones that are known and of those that one process teaches. */
const MAX_KNOWN = 1024
const MAX_HELD = 32

const DRONE = /^drone\.([a-z0-9-]{1,32})$/
const keyOf = (drone: string) => `drone.${drone}`

export interface LeasesOptions {
  /** Names this process, and no other one, nor itself after a restart. */
  self: string
  /** A lease that was not renewed for so long is taken by another. */
  ttlMs: number
  store: LeaseStore
  numbers: Numbers
  now: () => Instant
  log: Log
  /**
   * Told when a drone becomes this process's own, and when it is that no more. Where this process gives it away it is waited for: then
   * everything must be saved.
   */
  onChange: (drone: string, held: boolean) => Promise<void> | void
}

/**
 * Which drones this process teaches. Where a drone has no owner, the process with the fewest takes it; one that has two more than another
 * gives one away.
 */
export class Leases {
  readonly #options: LeasesOptions
  readonly #leases = new Map<string, Lease>()
  /** Drones that are there. */
  readonly #present = new Set<string>()
  readonly #held = new Set<string>()
  /** Asked for; nobody knows yet. */
  readonly #taking = new Set<string>()
  /** First number beyond those that the lease of a drone sets aside. */
  readonly #bounds = new Map<string, bigint>()
  readonly #peers: Peers
  #announcedMs = Number.NEGATIVE_INFINITY
  /** When a drone changed hands last; none is given away soon after. */
  #changedMs: number
  #giving: string | undefined
  #trouble: string | undefined

  constructor(options: LeasesOptions) {
    this.#options = options
    this.#peers = new Peers(options.self, options.ttlMs)
    this.#changedMs = options.now().monotonicMs
  }

  /** Begins to look at what the others have. `tick` does the rest. */
  start(): void {
    const { store, now } = this.#options
    store.watch({
      change: (key, entry) => {
        const drone = DRONE.exec(key)?.[1]
        const lease = drone === undefined ? undefined : this.#lease(drone)
        if (drone === undefined || lease === undefined) return
        const before = this.owner(drone)
        lease.observe(readRecord(entry), entry.revision, now())
        if (this.owner(drone) !== before) this.#changedMs = now().monotonicMs
        this.#settle(drone, lease)
      },
      announced: (process, drones) => this.#peers.announced(process, drones, now().monotonicMs),
    })
  }

  /** A drone says that it is there, or that it goes. */
  heard(drone: string, online: boolean): void {
    if (!online) this.#present.delete(drone)
    else if (this.#lease(drone) !== undefined) this.#present.add(drone)
  }

  /** The term under which this process may act for a drone at this moment; undefined: it must not. */
  term(drone: string): number | undefined {
    if (!this.#held.has(drone)) return undefined
    const term = this.#leases.get(drone)?.term(this.#options.now())
    const { next } = this.#options.numbers
    return term !== undefined && next < (this.#bounds.get(drone) ?? 0n) ? term : undefined
  }

  /** Who has a drone as far as is known; empty: nobody. */
  owner(drone: string): string {
    return this.#leases.get(drone)?.record?.owner ?? ''
  }

  /** Renews, takes and gives away what is due. To be called several times within a quarter of the TTL. */
  tick(): void {
    const { ttlMs, now } = this.#options
    const { monotonicMs } = now()
    for (const [drone, lease] of this.#leases) {
      const renewal = lease.renew(now())
      if (renewal !== undefined) void this.#write(drone, lease, renewal)
      const drones = this.#held.size + this.#taking.size
      if (!this.#present.has(drone) || drones >= MAX_HELD) continue
      const modestyMs = MODESTY * ttlMs * Math.min(MOST_MODEST, drones)
      if (monotonicMs < lease.freeSince(now()) + modestyMs) continue
      const attempt = lease.take(now())
      if (attempt === undefined) continue
      this.#taking.add(drone)
      // Whoever had it before signed with numbers below that.
      this.#options.numbers.raise(lease.record?.counter ?? 0n)
      void this.#write(drone, lease, attempt).finally(() => this.#taking.delete(drone))
    }
    if (monotonicMs - this.#announcedMs >= ttlMs / 4) {
      this.#announcedMs = monotonicMs
      void this.#announce()
    }
    if (monotonicMs - this.#changedMs > ttlMs && this.#peers.shouldGive(this.#held.size, monotonicMs))
      void this.#give()
  }

  /** Gives everything back. What is taught must have ended and been saved. */
  async stop(): Promise<void> {
    this.#present.clear()
    await Promise.all([...this.#held].map(drone => this.#release(drone)))
  }

  async #give(): Promise<void> {
    const drone = [...this.#held].sort().at(-1)
    if (drone === undefined || this.#giving !== undefined) return
    this.#giving = drone
    this.#options.log.info(`${drone} is handed over: another has fewer drones`)
    this.#held.delete(drone)
    await this.#tell(drone, false)
    await this.#release(drone)
    this.#giving = undefined
    this.#changedMs = this.#options.now().monotonicMs
  }

  async #release(drone: string): Promise<void> {
    this.#held.delete(drone)
    const lease = this.#leases.get(drone)!
    const write = lease.release(this.#options.now())
    if (write !== undefined) await this.#write(drone, lease, write, '')
  }

  async #write(drone: string, lease: Lease, write: LeaseWrite, owner = this.#options.self): Promise<void> {
    const { store, numbers, now } = this.#options
    const record: LeaseRecord = { owner, counter: numbers.next + NUMBERS }
    let revision: number | undefined
    try {
      revision = await store.write(keyOf(drone), writeRecord(record), write.revision)
      this.#say(undefined)
    } catch (error) {
      this.#say(messageOf(error))
    }
    if (revision !== undefined) this.#bounds.set(drone, record.counter)
    lease.wrote(write, record, revision, now())
    if (revision === undefined) {
      try {
        const entry = await store.read(keyOf(drone))
        lease.correct(readRecord(entry), entry.revision, now())
      } catch {
        // Nothing is known: it lapses, and the next write tries again.
      }
    }
    this.#settle(drone, lease)
  }

  async #announce(): Promise<void> {
    try {
      await this.#options.store.announce(this.#options.self, this.#held.size)
    } catch (error) {
      this.#say(messageOf(error))
    }
  }

  #settle(drone: string, lease: Lease): void {
    const held = lease.held !== undefined
    if (held === this.#held.has(drone) || this.#giving === drone) return
    this.#changedMs = this.#options.now().monotonicMs
    if (held) this.#held.add(drone)
    else this.#held.delete(drone)
    void this.#tell(drone, held)
  }

  async #tell(drone: string, held: boolean): Promise<void> {
    try {
      await this.#options.onChange(drone, held)
    } catch (error) {
      this.#options.log.error(`${drone} could not be ${held ? 'taken' : 'let go'}: ${messageOf(error)}`)
    }
  }

  #lease(drone: string): Lease | undefined {
    const known = this.#leases.get(drone)
    if (known !== undefined || this.#leases.size >= MAX_KNOWN) return known
    const { self, ttlMs, now } = this.#options
    const lease = new Lease(self, { ttlMs }, now())
    this.#leases.set(drone, lease)
    return lease
  }

  /** Once for each reason. */
  #say(trouble: string | undefined): void {
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    if (trouble === undefined) this.#options.log.info('The NATS server answers again')
    else
      this.#options.log.warn(`The NATS server does not answer (${trouble}): leases may lapse until it does`)
  }
}

function writeRecord({ owner, counter }: LeaseRecord): string {
  return JSON.stringify({ owner, counter: String(counter) })
}

/** What nobody of ours wrote counts as given back: the key's revision guards it all the same. */
function readRecord({ value }: KeyValue): LeaseRecord | undefined {
  if (value === undefined) return undefined
  try {
    const { owner, counter } = JSON.parse(value) as { owner: string; counter: string }
    return { owner: String(owner), counter: BigInt(counter) }
  } catch {
    return { owner: '', counter: 0n }
  }
}
