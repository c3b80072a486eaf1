import type { KeyObject } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { signEnvelope } from '@kestrel/link'
import { type Clock, readSecretFile, UserError, writeSecretFile } from '@kestrel/runtime'
import type { Identity } from './identity.js'

/** Numbers that are set aside on disk at a time: so many messages are signed between two writes. */
const BLOCK = 1000n

/**
 * Signs what drones are told, with a counter that grows over restarts. It goes on from the file, or from the clock where that is further: neither a
 * clock that was set back nor a folder from an old copy makes drones refuse what comes.
 */
export class Signer {
  readonly #file: string
  readonly #key: KeyObject
  readonly #clock: Clock
  #next = 0n
  /** What is set aside ends here. */
  #end = 0n

  /** @param options.trainer which one of those that share the identity; each has a counter of its own, which leases bring in line */
  constructor(identity: Identity, options: { clock: Clock; trainer?: string }) {
    const { trainer } = options
    this.#file = join(identity.folder, trainer === undefined ? 'counter' : `counter.${trainer}`)
    this.#key = identity.signingKey
    this.#clock = options.clock
  }

  /** Opens the counter. @throws UserError where its file is damaged or cannot be written */
  start(): void {
    const stored = existsSync(this.#file)
      ? readSecretFile(this.#file, "The signatures' counter").toString()
      : '0'
    if (!/^\d{1,19}$/.test(stored)) {
      throw new UserError(`${this.#file} holds no number: remove it, it is made anew from the time`)
    }
    const time = BigInt(Math.max(0, Math.floor(this.#clock.nowMs())))
    this.#next = BigInt(stored) > time ? BigInt(stored) : time
    this.#end = this.#next
    this.#setAside()
  }

  /** Number of the next signature. */
  get next(): bigint {
    return this.#next
  }

  /** Goes on from this number at least. */
  raise(to: bigint): void {
    if (to > this.#next) this.#next = to
  }

  /** @param bytes an encoded envelope @returns it with a signature for this topic */
  sign(topic: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    return this.signAll(topic, [bytes])[0]
  }

  /** Signs messages that belong together, the parts of an update, with one number. */
  signAll(topic: string, messages: Uint8Array[]): Uint8Array<ArrayBuffer>[] {
    if (this.#next >= this.#end) this.#setAside()
    const counter = this.#next++
    return messages.map(bytes => signEnvelope(bytes, { topic, counter, key: this.#key }))
  }

  #setAside(): void {
    this.#end = this.#next + BLOCK
    writeSecretFile(this.#file, String(this.#end))
  }
}
