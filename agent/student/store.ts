import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { parameterDigest, readParameters, type Student } from '@kestrel/models'
import { type Log, messageOf } from '@kestrel/runtime'
import type { WeightStore } from './applier.js'
import { diskFiles, type SlotFiles } from './slot-files.js'
import type { WeightState } from './update-decoder.js'

const MAGIC = Buffer.from('KSLT')
const SCHEMA = 1
/** magic, schema, version, count, layout digest, digest of the shipped parameters, digest of these parameters. */
const FIELDS_BYTES = 4 + 4 + 4 + 4 + 32 + 32 + 32
/** The fields and their own SHA-256. */
export const SLOT_HEADER_BYTES = FIELDS_BYTES + 32

const slotNames = ['slot-a', 'slot-b'] as const
type SlotName = (typeof slotNames)[number]

/** What a slot is called once its weights were rolled back: kept for who wants to look at them, and so that they do not fly again. */
const ROLLED_BACK = '.rolled-back'

/**
 * Keeps the weights over restarts and power cuts in two slots (DESIGN.md section 5). A save goes into the slot that does not
 * hold the newest weights, by way of a temporary file, fsync, rename and fsync of the folder; so whenever the power goes, one slot is
 * whole. Slots remember which shipped model they grew from: when another one is shipped, it begins afresh.
 */
export class SlotStore implements WeightStore {
  readonly #folder: string
  readonly #student: Student
  readonly #origin: Uint8Array
  readonly #log: Log
  readonly #files: SlotFiles
  #next: SlotName = 'slot-a'
  /** Digests of the whole slots, as hex. */
  readonly #held = new Map<SlotName, string>()
  #rolledBack: Uint8Array[] = []

  constructor(options: { folder: string; student: Student; log: Log; files?: SlotFiles }) {
    const { folder, student, log, files = diskFiles } = options
    this.#folder = folder
    this.#student = student
    this.#origin = parameterDigest(readParameters(student))
    this.#log = log
    this.#files = files
  }

  /** Digests of weights that were rolled back, as far as files of them are there; after `load`. */
  get rolledBack(): Uint8Array[] {
    return this.#rolledBack
  }

  /**
   * All weights that are whole, newest first: those of the slots, and at last the shipped ones as version 0. Says in the log which fly,
   * and why.
   */
  async load(): Promise<WeightState[]> {
    const found: { name: SlotName; state: WeightState }[] = []
    const broken: string[] = []
    this.#held.clear()
    this.#rolledBack = []
    for (const name of slotNames) {
      try {
        const bytes = await this.#files.read(this.#path(name))
        if (bytes !== undefined) {
          const { digest, ...state } = this.#parse(bytes)
          found.push({ name, state })
          this.#held.set(name, hex(digest))
        }
      } catch (error) {
        broken.push(`${name} ${messageOf(error)}`)
      }
      const digest = await this.#readRolledBack(name)
      if (digest !== undefined) this.#rolledBack.push(digest)
    }
    found.sort((a, b) => b.state.version - a.state.version)
    const best = found[0]
    this.#next = best?.name === 'slot-a' ? 'slot-b' : 'slot-a'
    const what =
      best === undefined ? 'the shipped model flies' : `version ${best.state.version} of ${best.name} flies`
    if (broken.length > 0) this.#log.warn(`Stored weights are not usable (${broken.join('; ')}): ${what}`)
    else this.#log.info(`${what[0].toUpperCase()}${what.slice(1)}`)
    const shipped = { version: 0, parameters: readParameters(this.#student) }
    return [...found.map(({ state }) => state), shipped]
  }

  /** @throws Error of the file system; the weights saved before are still there then */
  async save(weights: WeightState & { digest: Uint8Array }): Promise<void> {
    const path = this.#path(this.#next)
    const temporary = `${path}.new`
    const { parameters } = weights
    const body = new Uint8Array(parameters.buffer, parameters.byteOffset, parameters.byteLength)
    await this.#files.write(temporary, [this.#header(weights), body])
    await this.#files.sync(temporary)
    await this.#files.rename(temporary, path)
    await this.#files.syncFolder(this.#folder)
    this.#held.set(this.#next, hex(weights.digest))
    this.#next = other(this.#next)
  }

  /**
   * Makes earlier weights those that load: whatever else is in a slot is set aside, newest first. Of the shipped weights, which are in none,
   * nothing remains.
   *
   * @throws Error of the file system; some weights load in any case
   */
  async fallBack(to: Uint8Array): Promise<void> {
    const newest = other(this.#next)
    for (const name of [newest, this.#next]) {
      const held = this.#held.get(name)
      if (held === undefined || held === hex(to)) continue
      await this.#files.rename(this.#path(name), `${this.#path(name)}${ROLLED_BACK}`)
      this.#held.delete(name)
    }
    await this.#files.syncFolder(this.#folder)
    this.#next = this.#held.has(newest) ? this.#next : newest
  }

  #path(name: SlotName): string {
    return join(this.#folder, name)
  }

  /** The digest of weights that were set aside; what cannot be read cannot be barred, and harms nobody. */
  async #readRolledBack(name: SlotName): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#files.read(`${this.#path(name)}${ROLLED_BACK}`)
      return bytes === undefined ? undefined : this.#parse(bytes).digest
    } catch {
      return undefined
    }
  }

  #header({ version, parameters, digest }: WeightState & { digest: Uint8Array }): Uint8Array {
    const numbers = Buffer.alloc(12)
    numbers.writeUInt32LE(SCHEMA, 0)
    numbers.writeUInt32LE(version, 4)
    numbers.writeUInt32LE(parameters.length, 8)
    const fields = Buffer.concat([MAGIC, numbers, this.#student.layoutDigest, this.#origin, digest])
    return Buffer.concat([fields, sha256(fields)])
  }

  /** @throws Error whose message continues "slot-a …" */
  #parse(bytes: Uint8Array): WeightState & { digest: Uint8Array } {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (buffer.length < SLOT_HEADER_BYTES) throw new Error(`is cut after ${buffer.length} bytes`)
    const fields = buffer.subarray(0, FIELDS_BYTES)
    if (!fields.subarray(0, 4).equals(MAGIC)) throw new Error('does not begin as a slot does')
    if (!sha256(fields).equals(buffer.subarray(FIELDS_BYTES, SLOT_HEADER_BYTES))) {
      throw new Error('has a damaged header')
    }
    if (fields.readUInt32LE(4) !== SCHEMA)
      throw new Error(`has format ${fields.readUInt32LE(4)}, not ${SCHEMA}`)
    const { parameterCount, layoutDigest } = this.#student
    if (!fields.subarray(16, 48).equals(layoutDigest)) throw new Error('belongs to another student')
    if (!fields.subarray(48, 80).equals(this.#origin)) throw new Error('grew from another shipped model')
    const body = buffer.subarray(SLOT_HEADER_BYTES)
    if (fields.readUInt32LE(12) !== parameterCount || body.length !== 4 * parameterCount) {
      throw new Error(`has ${body.length} bytes of parameters, ${4 * parameterCount} belong there`)
    }
    const parameters = new Float32Array(body.buffer.slice(body.byteOffset, body.byteOffset + body.length))
    const digest = parameterDigest(parameters)
    if (!fields.subarray(80, 112).equals(digest)) throw new Error('has damaged parameters')
    return { version: fields.readUInt32LE(8), parameters, digest }
  }
}

function other(name: SlotName): SlotName {
  return name === 'slot-a' ? 'slot-b' : 'slot-a'
}

function hex(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex')
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
