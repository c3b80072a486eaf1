import { randomBytes } from 'node:crypto'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { type Clock, messageOf } from '@kestrel/runtime'
import { type Envelope, EnvelopeSchema, type PoseSchema, type VehicleSchema } from './proto/kestrel_pb.js'
import type { What } from './topics.js'

/** The version of link/proto/kestrel.proto that this code speaks. */
export const SCHEMA_VERSION = 1

/** Length of a message id, bytes. */
export const ID_BYTES = 16

/** What an envelope may carry: `{ case: 'segment', value: { … } }`, the value a message or what makes one. */
export type PayloadInit = Extract<
  NonNullable<MessageInitShape<typeof EnvelopeSchema>['payload']>,
  { case: string }
>

/** What makes a `Pose` and a `Vehicle`. */
export type PoseInit = MessageInitShape<typeof PoseSchema>
export type VehicleInit = MessageInitShape<typeof VehicleSchema>

/** The payload of a decoded envelope; `decodeEnvelope` never returns one without. */
export type Payload = Extract<Envelope['payload'], { case: string }>

/** An envelope that carries something. */
export type FullEnvelope = Envelope & { payload: Payload }

/** Why a message was refused. */
export type RefusalReason =
  | 'too-big'
  | 'malformed'
  | 'newer-schema'
  | 'no-payload'
  | 'wrong-codec'
  | 'wrong-size'
  | 'wrong-count'
  | 'undecodable'
  | 'signature'
  | 'replay'

/** A message from the other side that cannot be used. It changes nothing here; count it, say so, go on. */
export class MessageRefused extends Error {
  override readonly name = 'MessageRefused'
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.reason = reason
  }
}

const KiB = 1024
const MiB = 1024 * KiB

/** The most bytes that a message may have altogether. */
const MAX_BYTES = 16 * MiB

/** The most frames that one segment may describe: hours at the rates of ASR, and nothing to exhaust memory with. */
const MAX_SEGMENT_FRAMES = 4096

/** The most classes that a status may name. */
const MAX_CLASSES = 255

/** By field number in the envelope: the most bytes of that payload, and its repeated field with the most entries. */
const limits: Record<number, { name: string; bytes: number; repeated?: { field: number; count: number } }> = {
  10: { name: 'status', bytes: 64 * KiB, repeated: { field: 4, count: MAX_CLASSES } },
  11: { name: 'telemetry', bytes: 4 * KiB },
  12: { name: 'segment', bytes: 8 * MiB, repeated: { field: 5, count: MAX_SEGMENT_FRAMES } },
  13: { name: 'update', bytes: MAX_BYTES },
  14: { name: 'update-result', bytes: 16 * KiB },
  15: { name: 'control', bytes: 4 * KiB },
  16: { name: 'resync', bytes: 16 * KiB },
  40: { name: 'receipt', bytes: 1 * KiB },
  17: { name: 'command', bytes: 4 * KiB },
  18: { name: 'command-result', bytes: 16 * KiB },
  30: { name: 'signature', bytes: 256 },
}

/** What an envelope may take besides its payload: id, time, signature. */
const ENVELOPE_BYTES = KiB

/** The most bytes that a message of a kind may have; the most of any without one. */
export function mostBytes(what?: What): number {
  const limit = Object.values(limits).find(({ name }) => name === what)
  return limit === undefined ? MAX_BYTES : Math.min(MAX_BYTES, limit.bytes + ENVELOPE_BYTES)
}

/**
 * The bytes of one message.
 *
 * @param payload what it says
 * @param options.clock the sender's clock, whose time goes into the envelope
 * @param options.id 16 bytes; random unless the message is a repeat of one sent before
 */
export function encodeEnvelope(
  payload: PayloadInit,
  options: { clock: Clock; id?: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const { clock, id = newMessageId() } = options
  if (id.length !== ID_BYTES) throw new RangeError(`A message id has ${ID_BYTES} bytes; found ${id.length}`)
  const sentUs = BigInt(Math.round(clock.nowMs() * 1000))
  return toBinary(EnvelopeSchema, create(EnvelopeSchema, { schema: SCHEMA_VERSION, id, sentUs, payload }))
}

/** 16 random bytes. Not drawn from the seeded generator: two drones must never agree on one. */
export function newMessageId(): Uint8Array {
  return randomBytes(ID_BYTES)
}

/**
 * Reads a message from the other side. Sizes and counts are checked on the raw bytes, before anything is
 * built from them. `bytes` fields of the result are views into `bytes`.
 *
 * @throws MessageRefused with the reason
 */
export function decodeEnvelope(bytes: Uint8Array, options: { maxBytes?: number } = {}): FullEnvelope {
  const { maxBytes = MAX_BYTES } = options
  if (bytes.length > maxBytes) {
    throw new MessageRefused('too-big', `A message of ${bytes.length} bytes; at most ${maxBytes} are taken`)
  }
  let envelope: Envelope
  try {
    const schema = checkLimits(bytes)
    if (schema > SCHEMA_VERSION) {
      throw new MessageRefused(
        'newer-schema',
        `The message follows version ${schema} of the message format; this software knows version ${SCHEMA_VERSION}: update it`,
      )
    }
    envelope = fromBinary(EnvelopeSchema, bytes, { readUnknownFields: false })
  } catch (cause) {
    if (cause instanceof MessageRefused) throw cause
    throw new MessageRefused('malformed', `Not a Kestrel message: ${messageOf(cause)}`, { cause })
  }
  const { schema, id, payload } = envelope
  if (schema === 0 || id.length !== ID_BYTES) {
    throw new MessageRefused(
      'malformed',
      `Not a Kestrel message: it has schema version ${schema} and an id of ${id.length} bytes, where version ${SCHEMA_VERSION} and ${ID_BYTES} bytes belong`,
    )
  }
  if (payload.case === undefined)
    throw new MessageRefused('no-payload', 'The message carries nothing known here')
  return envelope as FullEnvelope
}

/** Walks the envelope's fields without building anything; returns its schema version (0 when it names none). */
function checkLimits(bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes)
  let schema = 0
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    const limit = limits[field]
    if (field === 1 && wireType === WireType.Varint) schema = reader.uint32()
    else if (limit === undefined || wireType !== WireType.LengthDelimited) reader.skip(wireType, field)
    else {
      const payload = reader.bytes()
      if (payload.length > limit.bytes) {
        throw new MessageRefused(
          'too-big',
          `A ${limit.name} message of ${payload.length} bytes; at most ${limit.bytes} are taken`,
        )
      }
      if (limit.repeated !== undefined) checkRepeats(payload, limit.name, limit.repeated)
    }
  }
  return schema
}

function checkRepeats(payload: Uint8Array, name: string, limit: { field: number; count: number }): void {
  const reader = new BinaryReader(payload)
  let count = 0
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    reader.skip(wireType, field)
    if (field === limit.field && ++count > limit.count) {
      throw new MessageRefused('too-big', `A ${name} message with more than ${limit.count} entries`)
    }
  }
}

/** Remembers the newest message ids, since MQTT QoS 1 delivers at least once, and possibly again. */
export class Deduplicator {
  readonly #capacity: number
  /** In order of arrival, oldest first (a Set keeps its order of insertion). */
  readonly #seen = new Set<string>()

  constructor(capacity = 1024) {
    this.#capacity = capacity
  }

  /** Whether this id was seen before; it is remembered from now on, and the oldest forgotten where there are too many. */
  isRepeat(id: Uint8Array): boolean {
    const key = Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('base64')
    if (this.#seen.has(key)) return true
    this.#seen.add(key)
    if (this.#seen.size > this.#capacity) this.#seen.delete(this.#seen.values().next().value as string)
    return false
  }
}
