import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { checkDroneName } from '@kestrel/link'
import { messageOf, readSecretFile, UserError, writeSecretFile } from '@kestrel/runtime'
import { z } from 'zod'
import type { Identity } from './identity.js'

const SECRET_BYTES = 32

const schema = z.strictObject({
  format: z.literal('kestrel-drones/1'),
  drones: z.record(
    z.string(),
    // The secret has 256 random bits: a plain hash is as good as a slow one.
    z.strictObject({ secretSha256: z.string().length(64), pairedAt: z.string() }),
  ),
})

type Drones = z.infer<typeof schema>['drones']

/** The drones that this ground station was paired with. The file is read again when another process has changed it. */
export class DroneRegistry {
  readonly #file: string
  #drones: Drones = {}
  #seen = ''

  constructor(identity: Identity) {
    this.#file = join(identity.folder, 'drones.json')
  }

  /** Name and date, by name. @throws UserError where the file is damaged */
  list(): { drone: string; pairedAt: string }[] {
    this.#refresh()
    return Object.entries(this.#drones)
      .map(([drone, { pairedAt }]) => ({ drone, pairedAt }))
      .sort((a, b) => a.drone.localeCompare(b.drone))
  }

  /**
   * Adds a drone, or gives it another secret: the one before is void then.
   *
   * @param at now, Unix ms
   * @returns its secret, which is kept nowhere here
   */
  add(drone: string, at: number): string {
    checkDroneName(drone)
    this.#refresh()
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    this.#drones = {
      ...this.#drones,
      [drone]: { secretSha256: sha256(secret).toString('hex'), pairedAt: new Date(at).toISOString() },
    }
    this.#save()
    return secret
  }

  /** @returns whether there was such a drone */
  remove(drone: string): boolean {
    this.#refresh()
    if (!Object.hasOwn(this.#drones, drone)) return false
    const { [drone]: _, ...others } = this.#drones
    this.#drones = others
    this.#save()
    return true
  }

  /** Identifies the secret that a drone has now; undefined where it is not paired. Another one after it was paired anew. */
  keyOf(drone: string): string | undefined {
    this.#refresh()
    return Object.hasOwn(this.#drones, drone) ? this.#drones[drone].secretSha256 : undefined
  }

  /** Whether a drone of that name is paired, with that secret. */
  matches(drone: string, secret: Uint8Array | string): boolean {
    const key = this.keyOf(drone)
    // As much work for a name that nobody has.
    const expected = Buffer.from(key ?? '0'.repeat(64), 'hex')
    return timingSafeEqual(sha256(secret), expected) && key !== undefined
  }

  #refresh(): void {
    if (!existsSync(this.#file)) {
      this.#drones = {}
      this.#seen = ''
      return
    }
    const { mtimeMs, ino, size } = statSync(this.#file)
    const seen = `${mtimeMs}/${ino}/${size}`
    if (seen === this.#seen) return
    try {
      const text = readSecretFile(this.#file, 'The list of paired drones').toString('utf8')
      this.#drones = schema.parse(JSON.parse(text)).drones
      this.#seen = seen
    } catch (cause) {
      if (cause instanceof UserError) throw cause
      throw new UserError(
        `The list of paired drones ${this.#file} is damaged: bring it back from a copy, or remove it and pair the drones again`,
        { cause },
      )
    }
  }

  #save(): void {
    try {
      writeSecretFile(
        this.#file,
        `${JSON.stringify({ format: 'kestrel-drones/1', drones: this.#drones }, null, 2)}\n`,
      )
    } catch (cause) {
      throw new UserError(`The list of paired drones cannot be kept: ${messageOf(cause)}`, { cause })
    }
    this.#seen = ''
  }
}

function sha256(secret: Uint8Array | string): Buffer {
  return createHash('sha256').update(secret).digest()
}
