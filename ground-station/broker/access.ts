import { randomBytes, timingSafeEqual } from 'node:crypto'
import { delivery, parseTopic, topic, type What } from '@kestrel/link'
import type { DroneRegistry } from '../security/registry.js'

/** Who a client turned out to be. `key` identifies the secret that it showed. */
export type Who = { kind: 'ground' } | { kind: 'anonymous' } | { kind: 'drone'; drone: string; key: string }

/** Why a client may not log in, with the return code of CONNACK [MQTT-3.2.2-6]. */
export interface Refusal {
  kind: 'log-in' | 'client-id'
  returnCode: 2 | 4 | 5
  why: string
}

/** The ground station's user name and client id. Not a drone's: no drone's name has a slash in it, and no client id of a drone equals this one. */
const GROUND = 'kestrel/ground'

/** Who may do what at the embedded broker: the ground everything, a drone what its own topics are for. */
export class Access {
  readonly #registry: DroneRegistry | undefined
  readonly #open: boolean
  readonly #groundSecret = randomBytes(32).toString('base64url')

  /**
   * @param options.registry the drones that are paired; without it there are none
   * @param options.open who shows no credentials may do everything: for a broker that only this machine reaches
   */
  constructor(options: { registry?: DroneRegistry; open: boolean }) {
    this.#registry = options.registry
    this.#open = options.open
  }

  /** For the ground station's own connection. */
  get ground(): { clientId: string; auth: { user: string; secret: string } } {
    return { clientId: GROUND, auth: { user: GROUND, secret: this.#groundSecret } }
  }

  /** @throws UserError where the list of drones cannot be read */
  identify(clientId: string, user: string | undefined, secret: Uint8Array | undefined): Who | Refusal {
    if (user === undefined) {
      if (this.#open) return { kind: 'anonymous' }
      return {
        kind: 'log-in',
        returnCode: 5,
        why: 'shows no credentials: pair it (kestrel-ground pair NAME here, kestrel-agent pair there)',
      }
    }
    if (user === GROUND && secret !== undefined && this.#isGroundSecret(secret)) return { kind: 'ground' }
    const key = this.#registry?.keyOf(user)
    if (
      secret === undefined ||
      this.#registry === undefined ||
      !this.#registry.matches(user, secret) ||
      key === undefined
    ) {
      return { kind: 'log-in', returnCode: 4, why: `shows credentials of "${user}" that are not valid here` }
    }
    // Who has a drone's client id gets its session, and throws it off: nobody has another's, nor many of its own.
    if (clientId !== `kestrel-${user}` && clientId !== `kestrel-${user}/check`) {
      return {
        kind: 'client-id',
        returnCode: 2,
        why: `is "${user}" but calls itself "${clientId}": expected kestrel-${user}`,
      }
    }
    return { kind: 'drone', drone: user, key }
  }

  /** Whether somebody who logged in still would. */
  isCurrent(who: Who): boolean {
    return who.kind !== 'drone' || this.#registry?.keyOf(who.drone) === who.key
  }

  mayPublish(who: Who | undefined, name: string, retain: boolean): boolean {
    if (who?.kind !== 'drone') return who !== undefined && !name.startsWith('$')
    const address = parseTopic(name)
    if (address === undefined || address.drone !== who.drone) return false
    const { from, retain: mayRetain } = delivery[address.what]
    return from === 'drone' && (mayRetain || !retain)
  }

  maySubscribe(who: Who | undefined, filter: string): boolean {
    // No wildcards for drones: a filter names one topic.
    return who?.kind === 'drone' ? hears(who.drone, filter) : who !== undefined
  }

  /** Sessions outlive connections, and may hold what was subscribed in another one. */
  mayReceive(who: Who | undefined, name: string): boolean {
    return who?.kind === 'drone' ? hears(who.drone, name) : who !== undefined
  }

  #isGroundSecret(secret: Uint8Array): boolean {
    const expected = Buffer.from(this.#groundSecret)
    return secret.length === expected.length && timingSafeEqual(secret, expected)
  }
}

function hears(drone: string, name: string): boolean {
  return Object.entries(delivery).some(
    ([what, { from }]) => from === 'ground' && name === topic(drone, what as What),
  )
}
