import { create } from '@bufbuild/protobuf'
import { type UpdateResult, UpdateResultSchema } from '@kestrel/link'
import {
  parameterDigest,
  readParameters,
  readUpdateHeader,
  type Student,
  UpdateRefused,
  withParameters,
} from '@kestrel/models'
import { type Clock, messageOf, RealClock } from '@kestrel/runtime'
import type { StudentHost } from './host.js'
import { inProcessDecoder, type UpdateDecoder, type WeightState } from './update-decoder.js'

/** What keeps weights over a restart. */
export interface WeightStore {
  save(weights: Weights): Promise<void>
  /** The weights with this digest, or where no slot has them the shipped ones, are those that load from now on. */
  fallBack(to: Uint8Array): Promise<void>
}

type Weights = WeightState & { digest: Uint8Array }

/** What came of going back to the weights before. */
export interface RollBack {
  rolledBack: boolean
  /** Version that flew, and that flies now. */
  from: number
  to: number
  /** A sentence: why not, or what else there is to know. */
  detail: string
}

/** How many weights that were rolled back are remembered. */
const MAX_BARRED = 16

export interface UpdateApplierOptions {
  student: Student
  host: StudentHost
  /** Nothing is kept without. */
  store?: WeightStore
  /** What flies at the beginning. */
  start: WeightState
  /** What flew before that; the shipped weights unless given, or unless they fly. */
  previous?: WeightState
  /** Digests of weights that must not fly. */
  rolledBack?: Uint8Array[]
  /** On the calling thread unless given. */
  decoder?: UpdateDecoder
  clock?: Clock
}

/** Why an update did not fly, where it was verified but could not be used. */
type StepReason = 'load' | 'canary' | 'store' | 'swap' | 'rolled-back'

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
  readonly #student: Student
  readonly #host: StudentHost
  readonly #store: WeightStore | undefined
  readonly #decoder: UpdateDecoder
  readonly #clock: Clock
  readonly #shipped: Weights
  #flown: Weights
  #previous: Weights | undefined
  #barred: Uint8Array[]
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: UpdateApplierOptions) {
    const {
      student,
      host,
      store,
      start,
      decoder = inProcessDecoder(student),
      clock = new RealClock(),
      rolledBack = [],
    } = options
    this.#student = student
    this.#host = host
    this.#store = store
    this.#decoder = decoder
    this.#clock = clock
    // Digests take tens of milliseconds on a small board: now, not between two frames.
    this.#shipped = withDigest({ version: 0, parameters: readParameters(student) })
    this.#flown = withDigest(start)
    const { previous } = options
    if (start.version > 0) {
      this.#previous = previous === undefined || previous.version === 0 ? this.#shipped : withDigest(previous)
    }
    this.#barred = rolledBack.slice(-MAX_BARRED)
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

  /** Digests of weights that were rolled back or rejected, oldest first; they do not fly again. */
  get rolledBack(): readonly Uint8Array[] {
    return this.#barred
  }

  /**
   * Applies one update, after those that came before it.
   *
   * @param data the bytes of models/update, all parts of them
   * @returns the result for the ground; it never rejects
   */
  apply(data: Uint8Array): Promise<UpdateResult> {
    return this.#inTurn(() => this.#apply(data))
  }

  /**
   * Flies the weights before again, and bars those that flew. Where they fly already that are before all others, the shipped ones, nothing
   * changes. It never rejects.
   */
  rollBack(): Promise<RollBack> {
    return this.#inTurn(() => this.#rollBack())
  }

  /**
   * Bars weights, and rolls back where they fly. It never rejects.
   *
   * @param digest of their parameters
   * @returns undefined where others fly
   */
  reject(digest: Uint8Array): Promise<RollBack | undefined> {
    return this.#inTurn(async () => {
      this.#bar(digest)
      return equal(digest, this.#flown.digest) ? this.#rollBack() : undefined
    })
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run)
    this.#last = result
    return result
  }

  async #rollBack(): Promise<RollBack> {
    const from = this.#flown
    const previous = this.#previous
    const to = previous !== undefined && this.#isBarred(previous.digest) ? this.#shipped : previous
    if (to === undefined) {
      const detail = 'the model as shipped flies: there is nothing before it'
      return { rolledBack: false, from: from.version, to: from.version, detail }
    }
    let detail = ''
    try {
      // No canary: these weights have flown, and whether they see more than those that fly is not asked any more.
      await this.#host.load(withParameters(this.#student, to.parameters))
      await this.#store?.fallBack(to.digest).catch(error => {
        detail = `it will fly again after a restart: ${messageOf(error)}`
      })
      await this.#host.swap()
    } catch (error) {
      return { rolledBack: false, from: from.version, to: from.version, detail: messageOf(error) }
    }
    this.#bar(from.digest)
    this.#flown = to
    this.#previous = to.version === 0 ? undefined : this.#shipped
    return { rolledBack: true, from: from.version, to: to.version, detail }
  }

  #isBarred(digest: Uint8Array): boolean {
    return this.#barred.some(barred => equal(barred, digest))
  }

  #bar(digest: Uint8Array): void {
    this.#barred = [...this.#barred.filter(barred => !equal(barred, digest)), digest].slice(-MAX_BARRED)
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
      rolledBack: this.#barred,
    })
  }

  async #take(data: Uint8Array): Promise<string> {
    const { version, parameters, digest, bytes } = await this.#decoder.decode(data, this.#flown)
    if (this.#isBarred(digest)) {
      throw new StepFailed('rolled-back', `Update ${version} brings weights that were rolled back`)
    }
    await step('load', () => this.#host.load(bytes))
    const { ok, detail } = await step('canary', () => this.#host.canary())
    if (!ok) throw new StepFailed('canary', detail)
    await step('store', () => this.#store?.save({ version, parameters, digest }))
    try {
      await step('swap', () => this.#host.swap())
    } catch (error) {
      // What did not fly must not fly after a restart either.
      await this.#store?.fallBack(this.#flown.digest).catch(() => undefined)
      throw error
    }
    this.#previous = this.#flown
    this.#flown = { version, parameters, digest }
    return detail
  }
}

function withDigest(state: WeightState): Weights {
  return { ...state, digest: parameterDigest(state.parameters) }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
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
