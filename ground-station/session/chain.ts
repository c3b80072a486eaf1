import {
  applyUpdate,
  encodeUpdate,
  halfValues,
  parameterDigest,
  readUpdateHeader,
  toHalf,
  type UpdateCodec,
} from '@kestrel/models'

/** Weights with their place in the chain of versions. */
export interface ModelVersion {
  version: number
  /** [P] */
  parameters: Float32Array
  /** SHA-256 of the parameters. */
  digest: Uint8Array
}

/** What the drone says it flies. */
export interface ModelReport {
  version: number
  digest: Uint8Array
  /** Digests of weights that it rolled back and will not take again. */
  rolledBack?: readonly Uint8Array[]
  /** It only says so again: what is on its way to it is no more overdue than before. */
  repeat?: boolean
}

/** An update on its way to the drone. */
export interface OutgoingUpdate {
  codec: UpdateCodec
  baseVersion: number
  version: number
  /** How many parameters it changes. */
  count: number
  /** The encoded update, as models/update writes it. */
  bytes: Uint8Array
}

/** An update that is encoded but not sent: the gate looks at it first. */
export interface Draft {
  update: OutgoingUpdate
  /** What the drone will hold, rounding included. */
  result: ModelVersion
}

/**
 * The chain of versions between ground and drone: what the drone flies, the one update that may be under way, and earlier
 * versions from which a delta can still be written. The drone's own reports decide what it flies; a version number is never
 * given twice.
 */
export class UpdateChain {
  readonly #codec: UpdateCodec
  readonly #movementBits: number | undefined
  readonly #historyVersions: number
  /** The student as shipped: always known, since that is what a drone falls back to last. */
  readonly #shipped: ModelVersion
  #flown: ModelVersion
  /** The drone flies something that the ground does not have; only a checkpoint helps. */
  #unknown = false
  #issued: number
  #pending: Draft | undefined
  /** Earlier versions, newest last. */
  #history: ModelVersion[] = []

  /**
   * @param options.shipped parameters of the student file, [P]
   * @param options.flown what the drone flies, where that is not the shipped student
   * @param options.previous what it flew before that
   * @param options.issued the highest version number given out so far
   */
  constructor(options: {
    shipped: Float32Array
    flown?: { version: number; parameters: Float32Array }
    previous?: { version: number; parameters: Float32Array }
    issued?: number
    codec?: UpdateCodec
    movementBits?: number
    historyVersions?: number
  }) {
    const { shipped, codec = 'delta', movementBits, historyVersions = 8 } = options
    const { version, parameters } = options.flown ?? { version: 0, parameters: shipped }
    this.#shipped = { version: 0, parameters: shipped, digest: parameterDigest(shipped) }
    this.#flown = { version, parameters, digest: parameterDigest(parameters) }
    this.#issued = Math.max(options.issued ?? 0, version)
    this.#codec = codec
    this.#movementBits = movementBits
    this.#historyVersions = historyVersions
    const { previous } = options
    if (previous !== undefined) this.#remember({ ...previous, digest: parameterDigest(previous.parameters) })
  }

  /** What the drone flies as far as the ground knows, or should fly where it flies something unknown. */
  get flown(): ModelVersion {
    return this.#flown
  }

  /** Earlier versions, the last one first and the shipped student at the end. */
  get earlier(): ModelVersion[] {
    return [...this.#history.toReversed(), this.#shipped]
  }

  /** The update under way. */
  get pending(): OutgoingUpdate | undefined {
    return this.#pending?.update
  }

  get issued(): number {
    return this.#issued
  }

  /** Whether the drone flies weights that the ground does not have. */
  get droneIsUnknown(): boolean {
    return this.#unknown
  }

  get shippedDigest(): Uint8Array {
    return this.#shipped.digest
  }

  /**
   * Encodes every coordinate in which `target`, as binary16, differs from what the drone flies, without changing anything.
   *
   * @param target [P]
   * @param exact without the rounding of `movementBits`: for weights that were good as they were
   * @returns undefined where nothing differs
   * @throws UserError where a weight is beyond what an update can carry: training has diverged
   */
  draft(target: Float32Array, exact = false): Draft | undefined {
    const codec = this.#unknown ? 'checkpoint' : this.#codec
    const base = this.#flown
    const indices = differences(base.parameters, target)
    if (indices.length === 0 && !this.#unknown) return undefined
    const baseVersion = codec === 'checkpoint' ? 0 : base.version
    const version = this.#issued + 1
    const values = Float32Array.from(indices, index => target[index])
    const encoded = encodeUpdate({
      codec,
      baseVersion,
      version,
      base: base.parameters,
      indices,
      values,
      movementBits: exact ? undefined : this.#movementBits,
    })
    return {
      update: { codec, baseVersion, version, count: indices.length, bytes: encoded.bytes },
      result: { version, parameters: encoded.parameters, digest: encoded.digest },
    }
  }

  /** Puts a draft under way. There must be none under way. */
  send(draft: Draft): OutgoingUpdate {
    if (this.#pending !== undefined)
      throw new Error(`Update ${this.#pending.update.version} is still under way`)
    this.#issued = draft.update.version
    this.#pending = draft
    return draft.update
  }

  /**
   * Puts an update under way again that was read back from disk.
   *
   * @throws UpdateRefused where it does not fit what the drone flies
   */
  resume(bytes: Uint8Array): void {
    const { codec, baseVersion, count } = readUpdateHeader(bytes)
    const { version, parameters, digest } = applyUpdate(bytes, this.#flown)
    this.#issued = Math.max(this.#issued, version)
    this.#pending = {
      update: { codec, baseVersion, version, count, bytes },
      result: { version, parameters, digest },
    }
  }

  /** What a drone that flies something unknown should fly, where that is not what it flew last. */
  retreat(to: ModelVersion): void {
    this.#remember(this.#flown)
    this.#flown = to
    this.#pending = undefined
  }

  /** Forgets the update under way: the drone refused it. */
  drop(): void {
    this.#pending = undefined
  }

  /**
   * Takes the drone's word for what it flies.
   *
   * @returns `same`: what the ground thought; `applied`: the update under way; `moved`: an earlier version that the ground
   *   still has; `unknown`: something else
   */
  observe(report: ModelReport): 'same' | 'applied' | 'moved' | 'unknown' {
    this.#issued = Math.max(this.#issued, report.version)
    if (!this.#unknown && equal(report.digest, this.#flown.digest)) {
      this.#renumber(report)
      return 'same'
    }
    if (this.#pending !== undefined && equal(report.digest, this.#pending.result.digest)) {
      this.#remember(this.#flown)
      this.#flown = this.#pending.result
      this.#renumber(report)
      this.#pending = undefined
      this.#unknown = false
      return 'applied'
    }
    const known = [this.#flown, ...this.#history.toReversed(), this.#shipped].find(({ digest }) =>
      equal(digest, report.digest),
    )
    if (known === undefined) {
      this.#unknown = true
      return 'unknown'
    }
    if (known !== this.#flown) this.#remember(this.#flown)
    this.#flown = known
    this.#renumber(report)
    this.#pending = undefined
    this.#unknown = false
    return 'moved'
  }

  /** The drone's number for weights is the one that counts: an update names its base by it. */
  #renumber({ version }: ModelReport): void {
    if (this.#flown.version === version) return
    this.#flown = { ...this.#flown, version }
    if (this.#pending !== undefined && this.#pending.update.codec !== 'checkpoint') this.#pending = undefined
  }

  #remember(version: ModelVersion): void {
    const others = this.#history.filter(({ digest }) => !equal(digest, version.digest))
    this.#history = [...others, version].slice(Math.max(0, others.length + 1 - this.#historyVersions))
  }
}

/**
 * Where `to`, as an update would carry it, is not what `from` has. What rounds to the value that flies already is no difference:
 * it would cost bytes, and an update of nothing else would have the digest of its own base.
 */
function differences(from: Float32Array, to: Float32Array): Uint32Array {
  const rounded = halfValues()
  const indices = new Uint32Array(to.length)
  let count = 0
  for (let i = 0; i < to.length; i++) {
    if (from[i] !== to[i] && from[i] !== rounded[toHalf(to[i])]) indices[count++] = i
  }
  return indices.slice(0, count)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
