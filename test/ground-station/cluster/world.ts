import { type Instant, type KeyValue, type LeaseStore, Leases } from '@kestrel/ground-station'
import { createRng, type Rng, silentLog } from '@kestrel/runtime'

export const TTL_MS = 8000
const STEP_MS = 100

/** As with the real one: a question without an answer is given up after this, ms. */
const ASK_MS = 4000

type Listener = Parameters<LeaseStore['watch']>[0]

/** A process on a machine of its own, whose clocks are wrong in their own way. */
export class Process {
  readonly name: string
  readonly leases: Leases
  /** The signatures' counter. */
  readonly numbers: { next: bigint; raise(to: bigint): void }
  /** What the wall clock is ahead of the monotonic one, ms. */
  wallMs = 0
  /** Nothing of it runs; what comes waits. */
  isFrozen = false
  /** The network carries nothing; what is told meanwhile comes later, as a consumer makes up for what it missed. */
  isCutOff = false
  isDead = false
  readonly owned = new Set<string>()
  readonly #world: World
  readonly #offsetMs: number
  readonly #rate: number

  constructor(world: World, name: string, rng: Rng) {
    this.#world = world
    this.name = name
    this.#offsetMs = 1e6 * rng.float()
    this.#rate = 0.95 + 0.1 * rng.float()
    const numbers = {
      next: BigInt(rng.int(5000)),
      raise(to: bigint) {
        if (to > numbers.next) numbers.next = to
      },
    }
    this.numbers = numbers
    this.leases = new Leases({
      self: name,
      ttlMs: TTL_MS,
      store: world.storeOf(this),
      numbers,
      now: () => this.#now(),
      log: silentLog,
      onChange: (drone, held) => void (held ? this.owned.add(drone) : this.owned.delete(drone)),
    })
  }

  #now(): Instant {
    const monotonicMs = this.#offsetMs + this.#rate * this.#world.nowMs
    return { monotonicMs, wallMs: 1e9 + monotonicMs + this.wallMs }
  }

  get runs(): boolean {
    return !this.isFrozen && !this.isDead
  }
}

/** Processes, the drones that they share and a server of keys, in virtual time; the same for the same seed. */
export class World {
  nowMs = 0
  readonly rng: Rng
  readonly drones: string[]
  readonly processes: Process[]
  /** Whatever must not be. */
  readonly faults: string[] = []
  readonly #keys = new Map<string, { value: string; revision: number }>()
  readonly #listeners = new Map<Process, Listener>()
  #revision = 0
  /** In order of their time; `to`: whose network and whose thread they need. */
  #events: { atMs: number; to?: Process; run: () => void }[] = []
  readonly #acted = new Map<string, { term: number; number: bigint; by: Process }>()

  constructor(seed: number | string, options: { processes: number; drones: number }) {
    this.rng = createRng(seed)
    this.drones = Array.from({ length: options.drones }, (_, i) => `d${i}`)
    this.processes = Array.from({ length: options.processes }, (_, i) => new Process(this, `p${i}`, this.rng))
    for (const { leases } of this.processes) {
      leases.start()
      for (const drone of this.drones) leases.heard(drone, true)
    }
  }

  /** @param isServed false: the server is away */
  async run(seconds: number, before: () => void = () => {}): Promise<void> {
    for (const endMs = this.nowMs + 1000 * seconds; this.nowMs < endMs; this.nowMs += STEP_MS) {
      before()
      // One that wakes up acts before anything else reaches it.
      this.#act()
      await this.#deliver()
      this.#act()
      for (const { runs, leases } of this.processes) if (runs) leases.tick()
      await settle()
      this.#act()
    }
  }

  /** Who owns a drone, as the processes themselves know. */
  owners(drone: string): string[] {
    return this.processes
      .filter(({ isDead, leases }) => !isDead && leases.term(drone) !== undefined)
      .map(({ name }) => name)
  }

  storeOf(process: Process): LeaseStore {
    return {
      write: (key, value, revision) =>
        this.#ask(process, () => {
          if ((this.#keys.get(key)?.revision ?? 0) !== revision) return undefined
          this.#keys.set(key, { value, revision: ++this.#revision })
          const entry = { value, revision: this.#revision }
          for (const listener of this.#listeners.keys())
            this.#tell(listener, ({ change }) => change(key, entry))
          return entry.revision
        }),
      read: key =>
        this.#ask(process, (): KeyValue => this.#keys.get(key) ?? { value: undefined, revision: 0 }),
      announce: (name, drones) =>
        this.#ask(process, () => {
          for (const listener of this.#listeners.keys())
            this.#tell(listener, ({ announced }) => announced(name, drones))
        }),
      watch: on => void this.#listeners.set(process, on),
    }
  }

  /** Everybody who may act does so: signs something for each drone that is its own at this moment. */
  #act(): void {
    for (const drone of this.drones) {
      const acting = this.processes.filter(({ runs, leases }) => runs && leases.term(drone) !== undefined)
      if (acting.length > 1) this.#fault(`${acting.map(({ name }) => name).join(' and ')} act for ${drone}`)
      for (const process of acting) {
        const term = process.leases.term(drone)!
        const number = process.numbers.next++
        const last = this.#acted.get(drone)
        if (last !== undefined && last.by !== process && term <= last.term)
          this.#fault(`${process.name} acts for ${drone} under term ${term} after ${last.term}`)
        if (last !== undefined && number <= last.number)
          this.#fault(`${process.name} signs ${number} for ${drone} after ${last.number} of ${last.by.name}`)
        this.#acted.set(drone, { term, number, by: process })
      }
    }
  }

  #fault(what: string): void {
    this.faults.push(`${this.nowMs} ms: ${what}`)
  }

  /** A question to the server and its answer, each of which may get lost; then nobody knows whether it was done. */
  #ask<T>(process: Process, answer: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#later(ASK_MS, process, () => reject(new Error('timeout')), true)
      if (process.isCutOff) return
      this.#later(this.#delayMs(), undefined, () => {
        const given = answer()
        if (!process.isCutOff) this.#later(this.#delayMs(), process, () => resolve(given))
      })
    })
  }

  #tell(process: Process, what: (on: Listener) => void): void {
    this.#later(this.#delayMs(), process, () => what(this.#listeners.get(process)!))
  }

  #delayMs(): number {
    return this.rng.float() < 0.05 ? 3000 * this.rng.float() : 50 * this.rng.float()
  }

  #later(ms: number, to: Process | undefined, run: () => void, isLocal = false): void {
    const event = { atMs: this.nowMs + ms, to: isLocal ? undefined : to, run }
    // A timer of the process itself fires whatever the network does, but not while it is frozen.
    if (isLocal && to !== undefined)
      event.run = () => (to.isFrozen ? this.#later(STEP_MS, to, run, true) : run())
    this.#events.push(event)
  }

  async #deliver(): Promise<void> {
    const isDue = ({ atMs, to }: { atMs: number; to?: Process }) =>
      atMs <= this.nowMs && (to === undefined || (to.runs && !to.isCutOff))
    const due = this.#events.filter(isDue).sort((a, b) => a.atMs - b.atMs)
    if (due.length === 0) return
    this.#events = this.#events.filter(event => !due.includes(event) && event.to?.isDead !== true)
    for (const { run } of due) run()
    await settle()
  }
}

/** Lets everything that waits for a promise go on. */
function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
