import { createHash, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { delivery, type FullEnvelope, MessageRefused, topic, verifyEnvelope, type What } from '@kestrel/link'
import { type Log, messageOf } from '@kestrel/runtime'

/** Highest counter taken of each kind of message. */
type Counters = Partial<Record<What, bigint>>

/**
 * Kinds that are taken once only. What control and updates say holds however often it is said: control is retained, and comes again at each
 * start; an update in parts has one number, and does nothing where it flies already.
 */
const once: ReadonlySet<string> = new Set(['command'])

/**
 * What the drone takes for its ground station's word: messages that are signed by the key that it was paired with, for this drone and this
 * topic, and not older than what it had. Without a key, whatever the broker lets through.
 */
export class GroundTrust {
  readonly #drone: string
  readonly #key: KeyObject | undefined
  readonly #keyId: string
  readonly #file: string
  readonly #log: Log
  #counters: Counters = {}
  #saving: Promise<void> | undefined
  #changed = false

  constructor(options: { drone: string; key?: KeyObject; stateDir: string; log: Log }) {
    this.#drone = options.drone
    this.#key = options.key
    this.#keyId = options.key === undefined ? '' : fingerprint(options.key)
    this.#file = join(options.stateDir, 'ground-counters.json')
    this.#log = options.log
  }

  /** Whether messages have to be signed. */
  get paired(): boolean {
    return this.#key !== undefined
  }

  /** Goes on from the counters of the last flight, where they are of the same ground station. */
  start(): void {
    if (this.#key === undefined || !existsSync(this.#file)) return
    try {
      const { key, counters } = JSON.parse(readFileSync(this.#file, 'utf8')) as {
        key: string
        counters: Record<string, string>
      }
      if (key !== this.#keyId) return
      for (const [what, counter] of Object.entries(counters)) {
        if (Object.hasOwn(delivery, what)) this.#counters[what as What] = BigInt(counter)
      }
    } catch (error) {
      this.#log.warn(
        `${this.#file} is damaged (${messageOf(error)}): messages of the ground that were seen before could be played again once`,
      )
    }
  }

  /** Waits until the counters are on the disk. */
  async stop(): Promise<void> {
    await this.#saving
  }

  /**
   * @param bytes the envelope as it came on the topic of this kind
   * @returns the counter of its signature, 0 where none is needed
   * @throws MessageRefused `malformed` where another kind of message belongs there, `signature`
   */
  verify(what: What, bytes: Uint8Array, envelope: FullEnvelope): bigint {
    const expected = delivery[what].payload
    if (envelope.payload.case !== expected) {
      throw new MessageRefused('malformed', `A ${envelope.payload.case} message where ${expected} belongs`)
    }
    if (this.#key === undefined) return 0n
    return verifyEnvelope(bytes, envelope, { topic: topic(this.#drone, what), key: this.#key })
  }

  /** Takes a message that was verified. @throws MessageRefused `replay` */
  admit(what: What, counter: bigint): void {
    if (this.#key === undefined) return
    const newest = this.#counters[what] ?? 0n
    if (counter < newest || (counter === newest && once.has(what))) {
      throw new MessageRefused(
        'replay',
        `A ${what} message with number ${counter} came after number ${newest}: it is an old one`,
      )
    }
    if (counter === newest) return
    this.#counters[what] = counter
    this.#changed = true
    this.#saving ??= this.#save()
  }

  async #save(): Promise<void> {
    try {
      while (this.#changed) {
        this.#changed = false
        const counters = Object.fromEntries(
          Object.entries(this.#counters).map(([what, n]) => [what, String(n)]),
        )
        const file = await open(`${this.#file}.new`, 'w', 0o600)
        try {
          await file.writeFile(JSON.stringify({ key: this.#keyId, counters }))
          await file.datasync()
        } finally {
          await file.close()
        }
        await rename(`${this.#file}.new`, this.#file)
      }
    } catch (error) {
      this.#log.warn(`${this.#file} cannot be written: ${messageOf(error)}`)
    }
    this.#saving = undefined
  }
}

function fingerprint(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}
