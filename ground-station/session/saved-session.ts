import { type Log, messageOf, UserError } from '@kestrel/runtime'
import type { LabelledFrame } from './replay-buffer.js'
import { SavedFrames } from './saved-frames.js'
import { decodeState, encodeState, type SessionState } from './state.js'
import type { Store } from './store.js'

/**
 * What a store has of one drone's session.
 *
 * In a cluster each owner writes under the term of its own lease, and goes on from the newest term before: one that has lost its lease without
 * knowing cannot write over what its successor knows.
 */
export class SavedSession {
  readonly #store: Store
  readonly #drone: string
  readonly #name: string
  readonly #frames: SavedFrames
  readonly #log: Log
  /** States of earlier terms, to be removed once there is one of this. */
  #old: string[] = []

  /** @param options.term of the lease; undefined where nobody else teaches */
  constructor(store: Store, options: { drone: string; term?: number; log: Log }) {
    const { drone, term, log } = options
    this.#store = store
    this.#drone = drone
    this.#name = term === undefined ? `${drone}.session` : nameOf(drone, term)
    this.#frames = new SavedFrames(store, `${drone}.frames`)
    this.#log = log
  }

  /**
   * @returns undefined where there is none, or none that can be used, which is logged
   * @throws Error where the store does not answer
   */
  async load(): Promise<SessionState | undefined> {
    const all = await this.#store.list(`${this.#drone}.session`)
    // Of later terms than this there are some only where this process has lost the drone already.
    const names = all.filter(name => name <= this.#name).reverse()
    this.#old = names.filter(name => name !== this.#name && name !== `${this.#drone}.session`)
    for (const name of names) {
      try {
        const bytes = await this.#store.get(name)
        if (bytes !== undefined) return decodeState(bytes, name)
      } catch (error) {
        if (!(error instanceof UserError)) throw error
        this.#log.error(`${messageOf(error)}: it is left out`)
      }
    }
    if (names.length > 0)
      this.#log.error('Training starts again from the student as shipped, and the drone is brought to it')
    return undefined
  }

  /** @throws Error where it could not be kept */
  async save(state: SessionState): Promise<void> {
    await this.#store.put(this.#name, encodeState(state))
    for (const name of this.#old.splice(0)) await this.#store.remove(name)
  }

  /** Labelled frames that the session goes on with, oldest first; what cannot be read is left out. @param imageBytes of one frame */
  async loadFrames(imageBytes: number): Promise<LabelledFrame[]> {
    try {
      return await this.#frames.load({
        imageBytes,
        onDamaged: why => this.#log.warn(`Labelled frames of before are left out: ${why}`),
      })
    } catch (error) {
      this.#log.warn(`The labelled frames of before cannot be read: ${messageOf(error)}`)
      return []
    }
  }

  /** Keeps the frames of a segment. @throws Error where they could not be kept */
  async addFrames(frames: readonly LabelledFrame[]): Promise<void> {
    await this.#frames.add(frames)
  }
}

/** In order of their terms. */
function nameOf(drone: string, term: number): string {
  return `${drone}.session.${String(term).padStart(16, '0')}`
}
