import { create } from '@bufbuild/protobuf'
import { type UpdateResult, UpdateResultSchema } from '@kestrel/link'
import { parameterDigest, readUpdateHeader, type Student, UpdateRefused } from '@kestrel/models'
import { type Clock, messageOf, RealClock } from '@kestrel/runtime'
import type { StudentHost } from './host.js'
import { inProcessDecoder, type UpdateDecoder, type WeightState } from './update-decoder.js'

/** What keeps weights over a restart. */
export interface WeightStore {
  save(weights: WeightState & { digest: Uint8Array }): Promise<void>
}

export interface UpdateApplierOptions {
  student: Student
  host: StudentHost
  /** Nothing is kept without. */
  store?: WeightStore
  /** What flies at the beginning. */
  start: WeightState
  /** On the calling thread unless given. */
  decoder?: UpdateDecoder
  clock?: Clock
}

/** Why an update did not fly, where it was verified but could not be used. */
type StepReason = 'load' | 'canary' | 'store' | 'swap'

class StepFailed extends Error {
  readonly reason: StepReason

  constructor(reason: StepReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/**
 * Takes updates from bytes to flight (DESIGN.md section 5): verify and patch a copy, load and warm it in standby, try it on
 * recent frames, persist it, change roles. Whatever fails, fails before the roles change: the drone keeps flying what it has,
 * and the result says why.
 */
export class UpdateApplier {
  readonly #host: StudentHost
  readonly #store: WeightStore | undefined
  readonly #decoder: UpdateDecoder
  readonly #clock: Clock
  #flown: WeightState & { digest: Uint8Array }
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: UpdateApplierOptions) {
    const {
      student,
      host,
      store,
      start,
      decoder = inProcessDecoder(student),
      clock = new RealClock(),
    } = options
    this.#host = host
    this.#store = store
    this.#decoder = decoder
    this.#clock = clock
    this.#flown = { ...start, digest: parameterDigest(start.parameters) }
  }

  /** What flies now. */
  get version(): number {
    return this.#flown.version
  }

  /** SHA-256 of `parameters`. */
  get digest(): Uint8Array {
    return this.#flown.digest
  }

  /** [P]; never written to. */
  get parameters(): Float32Array {
    return this.#flown.parameters
  }

  /**
   * Applies one update, after those that came before it.
   *
   * @param data the bytes of models/update, all parts of them
   * @returns the result for the ground; it never rejects
   */
  apply(data: Uint8Array): Promise<UpdateResult> {
    const result = this.#last.then(() => this.#apply(data))
    this.#last = result
    return result
  }

  async #apply(data: Uint8Array): Promise<UpdateResult> {
    const beganMs = this.#clock.nowMs()
    let refusal = { reason: '', detail: '' }
    let detail = ''
    try {
      detail = await this.#take(data)
    } catch (error) {
      const known = error instanceof UpdateRefused || error instanceof StepFailed
      refusal = { reason: known ? error.reason : 'failed', detail: messageOf(error) }
    }
    const applied = refusal.reason === ''
    return create(UpdateResultSchema, {
      version: applied ? this.version : versionOf(data),
      applied,
      reason: refusal.reason,
      detail: applied ? detail : refusal.detail,
      modelVersion: this.version,
      modelDigest: this.digest,
      applyMs: this.#clock.nowMs() - beganMs,
    })
  }

  async #take(data: Uint8Array): Promise<string> {
    const { version, parameters, digest, bytes } = await this.#decoder.decode(data, this.#flown)
    await step('load', () => this.#host.load(bytes))
    const { ok, detail } = await step('canary', () => this.#host.canary())
    if (!ok) throw new StepFailed('canary', detail)
    await step('store', () => this.#store?.save({ version, parameters, digest }))
    await step('swap', () => this.#host.swap())
    this.#flown = { version, parameters, digest }
    return detail
  }
}

async function step<T>(reason: StepReason, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw new StepFailed(reason, messageOf(error))
  }
}

/** The version that refused bytes claim; 0 where not even that can be read. */
function versionOf(data: Uint8Array): number {
  try {
    return readUpdateHeader(data).version
  } catch {
    return 0
  }
}
