import type { FullEnvelope } from '@kestrel/link'

/** Which drones this process teaches, where several share them (cluster/leases.ts). */
export interface Ownership {
  /** The term under which this process may act for a drone at this moment; undefined: it must not. */
  term(drone: string): number | undefined
  /** Who teaches it, as far as is known; empty: nobody. */
  owner(drone: string): string
  /** A drone says that it is there, or that it goes. */
  heard(drone: string, online: boolean): void
}

/** Names come from outside: there must be a bound. */
const MAX_KNOWN = 1024

/** The drones of all, of which some are this process's own: hears the status of every one, and keeps it for the day when it is to teach it. */
export class SharedDrones {
  readonly #ownership: Ownership
  readonly #statuses = new Map<string, { envelope: FullEnvelope; bytes: Uint8Array }>()

  constructor(ownership: Ownership) {
    this.#ownership = ownership
  }

  term(drone: string): number | undefined {
    return this.#ownership.term(drone)
  }

  /** Takes a message. @returns whether it is this process that has to handle it */
  hear(drone: string, envelope: FullEnvelope, bytes: Uint8Array): boolean {
    if (envelope.payload.case === 'status') {
      if (this.#statuses.has(drone) || this.#statuses.size < MAX_KNOWN)
        this.#statuses.set(drone, { envelope, bytes })
      this.#ownership.heard(drone, envelope.payload.value.online)
    }
    return this.term(drone) !== undefined
  }

  /** What a drone said of itself last. */
  status(drone: string): { envelope: FullEnvelope; bytes: Uint8Array } | undefined {
    return this.#statuses.get(drone)
  }
}
