import type { Clock, Log } from '@kestrel/runtime'
import { type Draft, type ModelReport, type ModelVersion, type OutgoingUpdate, UpdateChain } from './chain.js'
import type { UpdateAnswer } from './report.js'

/** Phases after which an update without an answer is sent again; twice as many each time, since a slow link may not be through with it. */
const RESEND_AFTER_PHASES = { first: 3, most: 24 }

/** Phases after which a drone that does not go back by itself is sent the weights to go back to. */
const PATIENCE_PHASES = 3

/** Rejected weights that are remembered. */
const MAX_REJECTED = 16

/** An update that was sent more recently than this is still on its way: a report that does not show it yet says nothing, ms; doubles likewise. */
const RESEND_AFTER_MS = { first: 2000, most: 64_000 }

/**
 * Brings updates to the drone: never more than one under way, sent again where a report shows that it was not applied, and
 * catch-ups where the drone flies something else than thought.
 */
export class Delivery {
  readonly #chain: UpdateChain
  readonly #clock: Clock
  readonly #log: Log
  readonly #onRounded: (target: Float32Array, result: Float32Array) => void
  readonly #onSwap: (before?: ModelVersion) => void
  readonly #onRolledBack: () => void
  /** Digests (hex) of weights that must not fly, the last one last. */
  #rejected: string[]
  #phasesRejected = 0
  #phasesUnanswered = 0
  #patiencePhases = RESEND_AFTER_PHASES.first
  #patienceMs = RESEND_AFTER_MS.first
  #sentMs = Number.NEGATIVE_INFINITY
  /** A catch-up has been written since the last phase: one each is enough, whatever the drone reports. */
  #healed = false

  /**
   * @param options.rejected digests (hex) of weights that must not fly, of an earlier process
   * @param options.onRounded told what became of weights that a catch-up carries: binary16 on both sides
   * @param options.onSwap the drone flies other weights; told what it flew before, where it applied an update
   * @param options.onRolledBack the drone went back from weights that were bad, and flies `flown`
   */
  constructor(options: {
    chain: ConstructorParameters<typeof UpdateChain>[0]
    clock: Clock
    log: Log
    rejected?: string[]
    onRounded: (target: Float32Array, result: Float32Array) => void
    onSwap: (before?: ModelVersion) => void
    onRolledBack: () => void
  }) {
    this.#chain = new UpdateChain(options.chain)
    this.#clock = options.clock
    this.#log = options.log
    this.#rejected = options.rejected ?? []
    this.#onRounded = options.onRounded
    this.#onSwap = options.onSwap
    this.#onRolledBack = options.onRolledBack
  }

  get flown(): ModelVersion {
    return this.#chain.flown
  }

  get pending(): OutgoingUpdate | undefined {
    return this.#chain.pending
  }

  get issued(): number {
    return this.#chain.issued
  }

  get droneIsUnknown(): boolean {
    return this.#chain.droneIsUnknown
  }

  /** What the drone flew before, or would go back to. */
  get previous(): ModelVersion {
    const { earlier, flown } = this.#chain
    const isGood = ({ digest }: ModelVersion) =>
      !this.#isRejected(digest) && Buffer.compare(digest, flown.digest) !== 0
    return earlier.find(isGood) ?? earlier[earlier.length - 1]
  }

  /** Digests (hex) of weights that must not fly, the last one last. */
  get rejected(): string[] {
    return this.#rejected
  }

  /** The drone flies weights that were rejected, as far as the ground knows. */
  get awaitsRollBack(): boolean {
    return this.#isRejected(this.flown.digest)
  }

  /** The drone shall go back from what it flies. @returns whether it can: nothing is before the shipped student */
  reject(): boolean {
    const { digest } = this.flown
    if (Buffer.compare(digest, this.#chain.shippedDigest) === 0) return false
    this.#remember(digest)
    this.#phasesRejected = 0
    return true
  }

  /** Once a phase while the drone has not gone back: after some of them, an update that brings it there. */
  sendBackAfterWaiting(): OutgoingUpdate | undefined {
    const { pending } = this.#chain
    if (pending !== undefined) return this.resendAfterWaiting()
    if (++this.#phasesRejected < PATIENCE_PHASES || this.#healed) return undefined
    const update = this.heal(this.previous.parameters)
    if (update === undefined) {
      // But for the rounding they fly already, or were rejected themselves.
      this.#log.info(`There are no other weights to go back to: version ${this.flown.version} flies on`)
      const hex = toHex(this.flown.digest)
      this.#rejected = this.#rejected.filter(rejected => rejected !== hex)
    }
    return update
  }

  beginPhase(): void {
    this.#healed = false
  }

  /** See `UpdateChain.draft`; undefined too where it would bring weights that must not fly. */
  draft(target: Float32Array, exact = false): Draft | undefined {
    const draft = this.#chain.draft(target, exact)
    return draft === undefined || this.#isRejected(draft.result.digest) ? undefined : draft
  }

  send(draft: Draft): OutgoingUpdate {
    this.#phasesUnanswered = 0
    this.#patiencePhases = RESEND_AFTER_PHASES.first
    this.#patienceMs = RESEND_AFTER_MS.first
    this.#sentMs = this.#clock.nowMs()
    return this.#chain.send(draft)
  }

  /** See `UpdateChain.resume`. */
  resume(bytes: Uint8Array): void {
    this.#chain.resume(bytes)
  }

  /** Once a phase while an update is without an answer: the update again after the third, the sixth after that, and so on. */
  resendAfterWaiting(): OutgoingUpdate | undefined {
    if (++this.#phasesUnanswered < this.#patiencePhases) return undefined
    this.#phasesUnanswered = 0
    this.#patiencePhases = Math.min(2 * this.#patiencePhases, RESEND_AFTER_PHASES.most)
    return this.#chain.pending
  }

  /** See `GroundSession.acknowledge`. */
  acknowledge(answer: UpdateAnswer): OutgoingUpdate | undefined {
    const { version, applied, digest, modelVersion, rolledBack } = answer
    const flies = modelVersion ?? (applied ? version : this.#chain.flown.version)
    const refused = !applied && this.#chain.pending?.version === version
    const update =
      digest.length === 0 ? undefined : this.#observe({ version: flies, digest, rolledBack }, false)
    if (refused && this.#chain.pending?.version === version) this.#chain.drop()
    return update
  }

  /** See `GroundSession.reconcile`. */
  reconcile(report: ModelReport): OutgoingUpdate | undefined {
    return this.#observe(report, report.repeat !== true)
  }

  /** Writes an update that brings the drone to weights which were good before; none where it has them. */
  heal(target: Float32Array): OutgoingUpdate | undefined {
    if (this.#healed) return undefined
    const draft = this.draft(target, true)
    if (draft === undefined) return undefined
    this.#healed = true
    this.#onRounded(target, draft.result.parameters)
    return this.send(draft)
  }

  #observe(report: ModelReport, resend: boolean): OutgoingUpdate | undefined {
    for (const digest of report.rolledBack ?? []) this.#remember(digest)
    const before = this.#chain.flown
    const wasRejected = this.#isRejected(before.digest)
    // What the drone must not fly is nothing to bring it back to.
    const target = wasRejected ? this.previous : before
    const outcome = this.#chain.observe(report)
    const { pending } = this.#chain
    if (outcome === 'same') return resend ? this.#again() : undefined
    if (outcome !== 'unknown' && wasRejected) {
      this.#log.info(`The drone went back from version ${before.version}: version ${report.version} flies`)
      this.#onRolledBack()
      return undefined
    }
    this.#onSwap(outcome === 'applied' ? before : undefined)
    if (outcome === 'applied') return undefined
    if (outcome === 'moved') {
      this.#log.info(
        `The drone flies version ${report.version}, not ${target.version} as thought: catching up`,
      )
      return this.heal(target.parameters)
    }
    if (pending?.codec === 'checkpoint' && pending.version > report.version)
      return resend ? pending : undefined
    this.#log.warn(
      `The drone flies a version ${report.version} that the ground does not know: sending all weights`,
    )
    this.#chain.drop()
    if (wasRejected) {
      this.#chain.retreat(target)
      this.#onRolledBack()
    }
    return this.heal(target.parameters)
  }

  #remember(digest: Uint8Array): void {
    const hex = toHex(digest)
    if (!this.#rejected.includes(hex)) this.#rejected = [...this.#rejected, hex].slice(-MAX_REJECTED)
  }

  #isRejected(digest: Uint8Array): boolean {
    return this.#rejected.includes(toHex(digest))
  }

  /** The update under way once more, unless it has only just been sent. */
  #again(): OutgoingUpdate | undefined {
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#sentMs < this.#patienceMs) return undefined
    this.#sentMs = nowMs
    this.#patienceMs = Math.min(2 * this.#patienceMs, RESEND_AFTER_MS.most)
    return this.#chain.pending
  }
}

function toHex(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex')
}
