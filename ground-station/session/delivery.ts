import type { Clock, Log } from '@kestrel/runtime'
import { type Draft, type ModelReport, type ModelVersion, type OutgoingUpdate, UpdateChain } from './chain.js'
import type { UpdateAnswer } from './report.js'

/** Phases after which an update without an answer is sent again. */
const RESEND_AFTER_PHASES = 3

/** An update that was sent more recently than this is still on its way: a report that does not show it yet says nothing, ms. */
const RESEND_AFTER_MS = 2000

/**
 * Brings updates to the drone: never more than one under way, sent again where a report shows that it was not applied, and
 * catch-ups where the drone flies something else than thought.
 */
export class Delivery {
  readonly #chain: UpdateChain
  readonly #clock: Clock
  readonly #log: Log
  readonly #onRounded: (target: Float32Array, result: Float32Array) => void
  #phasesUnanswered = 0
  #sentMs = Number.NEGATIVE_INFINITY
  /** A catch-up has been written since the last phase: one each is enough, whatever the drone reports. */
  #healed = false

  /** @param options.onRounded told what became of weights that a catch-up carries: binary16 on both sides */
  constructor(options: {
    chain: ConstructorParameters<typeof UpdateChain>[0]
    clock: Clock
    log: Log
    onRounded: (target: Float32Array, result: Float32Array) => void
  }) {
    this.#chain = new UpdateChain(options.chain)
    this.#clock = options.clock
    this.#log = options.log
    this.#onRounded = options.onRounded
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

  beginPhase(): void {
    this.#healed = false
  }

  /** See `UpdateChain.draft`. */
  draft(target: Float32Array): Draft | undefined {
    return this.#chain.draft(target)
  }

  send(draft: Draft): OutgoingUpdate {
    this.#phasesUnanswered = 0
    this.#sentMs = this.#clock.nowMs()
    return this.#chain.send(draft)
  }

  /** See `UpdateChain.resume`. */
  resume(bytes: Uint8Array): void {
    this.#chain.resume(bytes)
  }

  /** Once a phase while an update is without an answer: the update again, every third time. */
  resendAfterWaiting(): OutgoingUpdate | undefined {
    return ++this.#phasesUnanswered % RESEND_AFTER_PHASES === 0 ? this.#chain.pending : undefined
  }

  /** See `GroundSession.acknowledge`. */
  acknowledge({ version, applied, digest, modelVersion }: UpdateAnswer): OutgoingUpdate | undefined {
    const flies = modelVersion ?? (applied ? version : this.#chain.flown.version)
    const refused = !applied && this.#chain.pending?.version === version
    const update = digest.length === 0 ? undefined : this.#observe({ version: flies, digest }, false)
    if (refused && this.#chain.pending?.version === version) this.#chain.drop()
    return update
  }

  /** See `GroundSession.reconcile`. */
  reconcile(report: ModelReport): OutgoingUpdate | undefined {
    return this.#observe(report, true)
  }

  /** Writes an update that brings the drone to weights which were good before; none where it has them. */
  heal(target: Float32Array): OutgoingUpdate | undefined {
    if (this.#healed) return undefined
    const draft = this.#chain.draft(target, true)
    if (draft === undefined) return undefined
    this.#healed = true
    this.#onRounded(target, draft.result.parameters)
    return this.send(draft)
  }

  #observe(report: ModelReport, resend: boolean): OutgoingUpdate | undefined {
    const target = this.#chain.flown
    const outcome = this.#chain.observe(report)
    const { pending } = this.#chain
    if (outcome === 'applied') return undefined
    if (outcome === 'same') return resend ? this.#again() : undefined
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
    return this.heal(target.parameters)
  }

  /** The update under way once more, unless it has only just been sent. */
  #again(): OutgoingUpdate | undefined {
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#sentMs < RESEND_AFTER_MS) return undefined
    this.#sentMs = nowMs
    return this.#chain.pending
  }
}
