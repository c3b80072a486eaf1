import { UserError } from '@kestrel/runtime/errors'
import { parameterDigest } from './student.js'
import { decodeCheckpoint, encodeCheckpoint } from './update/checkpoint.js'
import { decodeDelta, encodeDelta, shortenMovement } from './update/delta.js'
import { halfValues, isFiniteHalf, toHalf } from './update/half.js'
import {
  HEADER_BYTES,
  isVersion,
  readUpdateHeader,
  type UpdateCodec,
  type UpdateHeader,
  writeUpdate,
} from './update/header.js'
import { decodePaper, encodePaper } from './update/paper.js'
import { UpdateRefused } from './update/refused.js'

export interface EncodeUpdateOptions {
  codec: UpdateCodec
  /** Version of `base`; a checkpoint, which needs no base, writes 0. */
  baseVersion: number
  version: number
  /** The parameters that the receiver holds, [P]. */
  base: Float32Array
  /** I_n, strictly ascending. */
  indices: Uint32Array
  /** New values of `indices`; rounded to binary16 here. */
  values: Float32Array
  /** Codec "delta" may be off by 2^−movementBits of what a parameter moves, which makes it shorter; exact without it. */
  movementBits?: number
}

/**
 * Encodes a weight update (DESIGN.md section 3, step 5).
 *
 * A value that binary16 cannot hold (65520 and beyond, infinite, not a number) is refused rather than left out or clamped: it means that
 * training has diverged, and weights with a hole in them would be worse than those that fly.
 *
 * @returns the bytes, and the vector that both sides hold afterwards: `base` with the rounded values (for a checkpoint,
 *   every parameter is rounded) and its digest
 * @throws UserError where a value cannot be sent
 * @throws RangeError where arguments do not fit together
 */
export function encodeUpdate(options: EncodeUpdateOptions): {
  bytes: Uint8Array
  parameters: Float32Array
  digest: Uint8Array
} {
  const { codec, version, base } = options
  checkArguments(options)
  const checkpoint = codec === 'checkpoint'
  const { indices, values } = checkpoint ? wholeVector(options) : options
  const halves = roundAll(indices, values)
  if (codec === 'delta' && options.movementBits !== undefined) {
    for (let i = 0; i < halves.length; i++)
      halves[i] = shortenMovement(halves[i], base[indices[i]], options.movementBits)
  }
  const parameters = withHalves(base, indices, halves)
  const digest = parameterDigest(parameters)
  const payload = checkpoint
    ? encodeCheckpoint(halves)
    : codec === 'delta'
      ? encodeDelta(base, indices, halves)
      : encodePaper(base, indices, halves)
  const bytes = writeUpdate(
    {
      codec,
      baseVersion: checkpoint ? 0 : options.baseVersion,
      version,
      parameterCount: base.length,
      count: indices.length,
      baseDigest: checkpoint ? new Uint8Array(32) : parameterDigest(base),
      resultDigest: digest,
    },
    payload,
  )
  return { bytes, parameters, digest }
}

/**
 * Decodes and verifies an update and applies it to a copy of the parameters. Bounds are checked before memory is taken, and the
 * order of the checks is: form, size of the model, version, base version, base digest, payload, digest of the result.
 *
 * @param base what this side holds; never changed
 * @returns the new version, parameters and digest, and what was changed, for `patchParameters`
 * @throws UpdateRefused with the reason; an update that is applied is exactly the one that was encoded
 */
export function applyUpdate(
  bytes: Uint8Array,
  base: { version: number; parameters: Float32Array },
): {
  version: number
  parameters: Float32Array
  digest: Uint8Array
  indices: Uint32Array
  values: Float32Array
} {
  const header = readUpdateHeader(bytes)
  checkFits(header, base)
  const { indices, halves } = decodePayload(header, bytes, base.parameters)
  if (!halves.every(isFiniteHalf)) {
    throw new UpdateRefused('not-finite', `Update ${header.version} carries a value that is not finite`)
  }
  const parameters = withHalves(base.parameters, indices, halves)
  const digest = parameterDigest(parameters)
  if (!equal(digest, header.resultDigest)) {
    throw new UpdateRefused(
      'result-mismatch',
      `Update ${header.version} gives other parameters here than where it was made`,
    )
  }
  return { version: header.version, parameters, digest, indices, values: valuesOf(halves) }
}

function checkFits(header: UpdateHeader, base: { version: number; parameters: Float32Array }): void {
  const { version, baseVersion, parameterCount } = header
  if (parameterCount !== base.parameters.length) {
    throw new UpdateRefused(
      'wrong-size',
      `Update ${version} is for a model of ${parameterCount} parameters, this one has ${base.parameters.length}`,
    )
  }
  if (version <= base.version) {
    throw new UpdateRefused('not-newer', `Update ${version} is not newer than version ${base.version}`)
  }
  if (header.codec === 'checkpoint') return
  if (baseVersion !== base.version) {
    throw new UpdateRefused(
      'wrong-base',
      `Update ${version} builds on version ${baseVersion}, this side has version ${base.version}`,
    )
  }
  if (!equal(parameterDigest(base.parameters), header.baseDigest)) {
    throw new UpdateRefused(
      'wrong-digest',
      `Update ${version} builds on other parameters of version ${baseVersion} than those here`,
    )
  }
}

function decodePayload(
  header: UpdateHeader,
  bytes: Uint8Array,
  base: Float32Array,
): { indices: Uint32Array; halves: Uint16Array } {
  const payload = bytes.subarray(HEADER_BYTES)
  if (header.codec === 'paper') return decodePaper(payload, base, header.count)
  if (header.codec === 'delta') return decodeDelta(payload, base, header.count)
  return { indices: upTo(base.length), halves: decodeCheckpoint(payload, base.length) }
}

function checkArguments({ codec, baseVersion, version, base, indices, values }: EncodeUpdateOptions): void {
  if (
    !isVersion(baseVersion) ||
    !isVersion(version) ||
    version <= (codec === 'checkpoint' ? 0 : baseVersion)
  ) {
    throw new RangeError(`An update leads from a version to a later one; found ${baseVersion} to ${version}`)
  }
  if (indices.length !== values.length) {
    throw new RangeError(`${indices.length} indices but ${values.length} values`)
  }
  for (let i = 0; i < indices.length; i++) {
    if (indices[i] >= base.length || (i > 0 && indices[i] <= indices[i - 1])) {
      throw new RangeError(`Index ${indices[i]} at ${i} is out of order or beyond ${base.length} parameters`)
    }
  }
}

function wholeVector({ base, indices, values }: EncodeUpdateOptions): {
  indices: Uint32Array
  values: Float32Array
} {
  const all = base.slice()
  for (let i = 0; i < indices.length; i++) all[indices[i]] = values[i]
  return { indices: upTo(base.length), values: all }
}

function roundAll(indices: Uint32Array, values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) {
    halves[i] = toHalf(values[i])
    if (!isFiniteHalf(halves[i])) {
      throw new UserError(
        `Parameter ${indices[i]} is ${values[i]}, which no update can carry (binary16 ends at 65504): ` +
          'training has diverged; lower its learning rate',
      )
    }
  }
  return halves
}

function withHalves(base: Float32Array, indices: Uint32Array, halves: Uint16Array): Float32Array {
  const table = halfValues()
  const parameters = base.slice()
  for (let i = 0; i < indices.length; i++) parameters[indices[i]] = table[halves[i]]
  return parameters
}

// Plain loops: over millions of elements `TypedArray.from` takes ten times as long.
function valuesOf(halves: Uint16Array): Float32Array {
  const table = halfValues()
  const values = new Float32Array(halves.length)
  for (let i = 0; i < halves.length; i++) values[i] = table[halves[i]]
  return values
}

/** 0, 1, … count − 1. */
function upTo(count: number): Uint32Array {
  const indices = new Uint32Array(count)
  for (let i = 0; i < count; i++) indices[i] = i
  return indices
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
