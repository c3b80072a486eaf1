import { parameterDigest, readParameters, type Student } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import { z } from 'zod'
import { seal, unseal } from './sealed-file.js'

/**
 * What one drone's session must not forget when the ground station restarts. Of the replay buffer the newest
 * frames are kept elsewhere: saved-frames.ts.
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

export function belongsTo(state: SessionState, student: Student): boolean {
  const { layoutDigest, shippedDigest } = stateOwner(student)
  return state.layoutDigest === layoutDigest && state.shippedDigest === shippedDigest
}

/** The versions that a state names, as a chain begins with them. */
export function knownVersions(state: SessionState) {
  const { flownVersion, flown, previousVersion, previous, issued } = state
  return {
    flown: { version: flownVersion, parameters: flown },
    ...(previous.length > 0 && { previous: { version: previousVersion, parameters: previous } }),
    issued,
  }
}

const MAGIC = 'KSTATE1\n'
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

/** Sealed: the header, then the vectors (little-endian floats) and the update. */
export function encodeState(state: SessionState): Uint8Array {
  const { flown, trained, m, v, step, pending, previous, ...rest } = state
  const sections = { flown, trained, m, v, step, pending, previous }
  const lengths = Object.fromEntries(Object.entries(sections).map(([name, data]) => [name, data.length]))
  return seal(MAGIC, { ...rest, lengths }, Object.values(sections))
}

/** @throws UserError that says in what way the bytes are no session state */
export function decodeState(bytes: Uint8Array, source: string): SessionState {
  const fail = (what: string): never => {
    throw new UserError(`${source} cannot be used: ${what}`)
  }
  const { header: given, sections: body } = unseal(bytes, { magic: MAGIC, source, what: 'session state' })
  const parsed = headerSchema.safeParse(given)
  const header = parsed.success ? parsed.data : fail('its header is not as this version of Kestrel writes it')
  const { lengths, ...rest } = header
  const floats = vectors.reduce((sum, name) => sum + lengths[name], 0)
  if (4 * (floats + lengths.previous) + lengths.pending !== body.length)
    return fail('its sections do not add up')
  let at = 0
  const take = (length: number) => Uint8Array.from(body.subarray(at, (at += length)))
  const [flown, trained, m, v, step] = vectors.map(name => new Float32Array(take(4 * lengths[name]).buffer))
  const pending = take(lengths.pending)
  const previous = new Float32Array(take(4 * lengths.previous).buffer)
  return { ...rest, flown, trained, m, v, step, pending, previous }
}
