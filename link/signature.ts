import { type KeyObject, sign, verify } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { type FullEnvelope, MessageRefused } from './messages.js'
import { EnvelopeSchema } from './proto/kestrel_pb.js'

/** Fields of the envelope that hold its payload, whichever it is: all from the tenth on but those about signatures. */
const isPayload = (field: number) => field >= 10 && !(field >= 30 && field < 40)

const CONTEXT = 'kestrel/v1 signed'

/**
 * Signs a message of the ground for one topic, and so for one drone and one kind of message. The signature covers topic, counter and payload as
 * they are on the wire; an update's payload names the versions and digests that it leads from and to (models/update).
 *
 * @param bytes an encoded envelope without a signature
 * @param options.counter greater than that of any message signed before
 * @returns the envelope with it
 */
export function signEnvelope(
  bytes: Uint8Array,
  options: { topic: string; counter: bigint; key: KeyObject },
): Uint8Array<ArrayBuffer> {
  const { topic, counter, key } = options
  const ed25519 = sign(null, signedBytes(topic, counter, payloadOf(bytes)), key)
  // Serialised protobuf messages that are joined are one message with the fields of both.
  const signature = toBinary(EnvelopeSchema, create(EnvelopeSchema, { signature: { counter, ed25519 } }))
  const signed = new Uint8Array(bytes.length + signature.length)
  signed.set(bytes)
  signed.set(signature, bytes.length)
  return signed
}

/**
 * Checks that a message was signed by the owner of the key for this topic.
 *
 * @param bytes the envelope as it came
 * @returns its counter: whoever takes messages refuses those that are not newer than what it had
 * @throws MessageRefused `signature`
 */
export function verifyEnvelope(
  bytes: Uint8Array,
  envelope: FullEnvelope,
  options: { topic: string; key: KeyObject },
): bigint {
  const { signature } = envelope
  if (signature === undefined) {
    throw new MessageRefused('signature', `The ${envelope.payload.case} message is not signed`)
  }
  const { counter, ed25519 } = signature
  const { topic, key } = options
  if (!verify(null, signedBytes(topic, counter, payloadOf(bytes)), key, ed25519)) {
    throw new MessageRefused(
      'signature',
      `The ${envelope.payload.case} message is not signed by the ground station that this drone was paired with`,
    )
  }
  return counter
}

function signedBytes(topic: string, counter: bigint, payload: Uint8Array): Uint8Array {
  const number = Buffer.alloc(8)
  number.writeBigUInt64BE(counter)
  return Buffer.concat([Buffer.from(`${CONTEXT}\0${topic}\0`), number, payload])
}

/**
 * The payload as it is on the wire, a view.
 *
 * @throws MessageRefused where there is none, or several, of which a reader would join parts
 */
function payloadOf(bytes: Uint8Array): Uint8Array {
  const reader = new BinaryReader(bytes)
  let payload: Uint8Array | undefined
  while (reader.pos < reader.len) {
    // The topic says which kind of payload it must be, so the number of the field need not be signed.
    const [field, wireType] = reader.tag()
    if (!isPayload(field) || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, field)
      continue
    }
    if (payload !== undefined) throw new MessageRefused('signature', 'A message with two payloads')
    payload = reader.bytes()
  }
  if (payload === undefined) throw new MessageRefused('signature', 'A message without a payload')
  return payload
}
