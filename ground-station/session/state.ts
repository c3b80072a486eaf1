import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { parameterDigest, readParameters, type Student } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import { z } from 'zod'

/**
 * What one drone's session must not forget when the ground station restarts. The replay buffer is left out: it fills
 * again within T_horizon.
 */
export interface SessionState {
  /** SHA-256 (hex) of the student's layout and of its shipped weights: a state belongs to one student file. */
  layoutDigest: string
  shippedDigest: string
  /** Phases so far. */
  phase: number
  /** The version that the drone flies. */
  flownVersion: number
  /** The highest version number given out. */
  issued: number
  /** i of Adam. */
  adamSteps: number
  /** r, frames/s. */
  samplingFps: number
  /** T_update, s, and the rates that ATR averages, frames/s. */
  periodS: number
  rates: number[]
  /** Phases that the gate refused in a row. */
  refusedInRow: number
  /** The version that it flew before that. */
  previousVersion: number
  /** SHA-256 (hex) of weights that turned out bad and must not fly. */
  rejected: string[]
  /** Weights that the drone flies, and those in training, [P]. */
  flown: Float32Array
  trained: Float32Array
  /** Moments of Adam, [P]. */
  m: Float32Array
  v: Float32Array
  /** u, the last Adam step, [P]; empty before the first phase. */
  step: Float32Array
  /** The update under way, encoded; empty where there is none. */
  pending: Uint8Array
  /** Weights that the drone flew before, [P]; empty where that is not known. */
  previous: Float32Array
}

/** Which student a state belongs to. */
export function stateOwner(student: Student): Pick<SessionState, 'layoutDigest' | 'shippedDigest'> {
  const hex = (digest: Uint8Array) => Buffer.from(digest).toString('hex')
  return {
    layoutDigest: hex(student.layoutDigest),
    shippedDigest: hex(parameterDigest(readParameters(student))),
  }
}

const MAGIC = Buffer.from('KSTATE1\n')
const DIGEST_BYTES = 32
const vectors = ['flown', 'trained', 'm', 'v', 'step'] as const

const count = z
  .number()
  .int()
  .nonnegative()
  .max(2 ** 32 - 1)
const headerSchema = z.strictObject({
  layoutDigest: z.string().length(64),
  shippedDigest: z.string().length(64),
  phase: count,
  flownVersion: count,
  issued: count,
  adamSteps: count,
  samplingFps: z.number().positive(),
  periodS: z.number().positive(),
  rates: z.array(z.number()).max(100),
  refusedInRow: count,
  // States of before there was going back have none of this.
  previousVersion: count.default(0),
  rejected: z.array(z.string().length(64)).max(64).default([]),
  lengths: z.strictObject({
    flown: count,
    trained: count,
    m: count,
    v: count,
    step: count,
    pending: count,
    previous: count.default(0),
  }),
})

/** Magic, length of the header (u32), header (JSON), the vectors (little-endian floats), the update, SHA-256 of it all. */
export function encodeState(state: SessionState): Uint8Array {
  const { flown, trained, m, v, step, pending, previous, ...rest } = state
  const sections = { flown, trained, m, v, step, pending, previous }
  const lengths = Object.fromEntries(Object.entries(sections).map(([name, data]) => [name, data.length]))
  const header = Buffer.from(JSON.stringify({ ...rest, lengths }))
  const size = Buffer.alloc(4)
  size.writeUInt32LE(header.length)
  const body = Buffer.concat([
    MAGIC,
    size,
    header,
    ...Object.values(sections).map(data => Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  ])
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}

/** @throws UserError that says in what way the bytes are no session state */
export function decodeState(bytes: Uint8Array, source: string): SessionState {
  const fail = (what: string): never => {
    throw new UserError(`${source} cannot be used: ${what}`)
  }
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = MAGIC.length + 4
  if (data.length < start + DIGEST_BYTES || !data.subarray(0, MAGIC.length).equals(MAGIC)) {
    return fail('it is no session state of this version of Kestrel')
  }
  const body = data.subarray(0, -DIGEST_BYTES)
  if (!createHash('sha256').update(body).digest().equals(data.subarray(-DIGEST_BYTES))) {
    return fail('its checksum is wrong (cut short or damaged)')
  }
  const headerEnd = start + data.readUInt32LE(MAGIC.length)
  let header: z.infer<typeof headerSchema>
  try {
    header = headerSchema.parse(JSON.parse(data.toString('utf8', start, Math.min(headerEnd, body.length))))
  } catch {
    return fail('its header is not as this version of Kestrel writes it')
  }
  const { lengths, ...rest } = header
  const floats = vectors.reduce((sum, name) => sum + lengths[name], 0)
  if (headerEnd + 4 * (floats + lengths.previous) + lengths.pending !== body.length)
    return fail('its sections do not add up')
  let at = headerEnd
  const take = (length: number) => Uint8Array.from(body.subarray(at, (at += length)))
  const [flown, trained, m, v, step] = vectors.map(name => new Float32Array(take(4 * lengths[name]).buffer))
  const pending = take(lengths.pending)
  const previous = new Float32Array(take(4 * lengths.previous).buffer)
  return { ...rest, flown, trained, m, v, step, pending, previous }
}

/** Writes a state so that a power cut leaves the old one or the new one, never half of either. */
export function saveState(file: string, state: SessionState): void {
  mkdirSync(dirname(file), { recursive: true })
  const temporary = `${file}.new`
  const descriptor = openSync(temporary, 'w', 0o600)
  try {
    const bytes = encodeState(state)
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(temporary, file)
  const folder = openSync(dirname(file), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/**
 * @returns undefined where there is no such file
 * @throws UserError where there is one that cannot be used
 */
export function loadState(file: string): SessionState | undefined {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new UserError(`${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  return decodeState(bytes, file)
}
