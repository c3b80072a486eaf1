import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { delivery, EnvelopeSchema, mostBytes, type What } from '@kestrel/link'
import type { Rng } from '@kestrel/runtime'

/** How values are drawn: such as might be, or the ends of what can be written. */
type Draw = 'plausible' | 'extreme'

/** What may be in an envelope, from its description. */
export const payloadFields: (DescField & { message: DescMessage })[] = EnvelopeSchema.oneofs
  .flatMap(({ fields }) => fields)
  .filter((field): field is DescField & { message: DescMessage } => field.message !== undefined)

/** The payload that belongs on a topic. */
export function payloadOf(what: What): DescField & { message: DescMessage } {
  return payloadFields.find(({ localName }) => localName === delivery[what].payload)!
}

/**
 * Messages that nobody with good intentions sends on this topic: every kind of payload, drawn from its description, whole and cut off, with flipped bits,
 * with wire types that are not the field's, and too big.
 *
 * @param count of each sort
 */
export function hostileMessages(what: What, rng: Rng, count: number): Uint8Array[] {
  const right = payloadOf(what)
  const whole = (draw: Draw, field = right) => envelope(field, message(field.message, rng, draw, 0), rng)
  const repeat = (make: () => Uint8Array) => Array.from({ length: count }, make)
  return [
    ...repeat(() => whole('plausible')),
    ...repeat(() => whole('extreme')),
    ...repeat(() => cut(whole('plausible'), rng)),
    ...repeat(() => flip(whole('plausible'), rng)),
    ...payloadFields.map(field => whole('plausible', field)),
    ...payloadFields.map(field => envelope(field, wrongTypes(field.message, rng), rng)),
    envelope(right, tooBig(mostBytes(what)), rng),
    envelope(right, tooMany(right.message), rng),
    new Uint8Array(0),
    random(rng, 1000),
  ]
}

function envelope({ number }: DescField, payload: Uint8Array, rng: Rng): Uint8Array {
  return new BinaryWriter()
    .tag(1, WireType.Varint)
    .uint32(1)
    .tag(2, WireType.LengthDelimited)
    .bytes(random(rng, 16))
    .tag(number, WireType.LengthDelimited)
    .bytes(payload)
    .finish()
}

function message({ fields }: DescMessage, rng: Rng, draw: Draw, depth: number): Uint8Array {
  const writer = new BinaryWriter()
  for (const field of fields) {
    if (rng.float() < 0.2) continue
    const times = field.fieldKind === 'list' ? rng.int(6) : 1
    for (let i = 0; i < times; i++) write(writer, field, rng, draw, depth)
  }
  return writer.finish()
}

function write(writer: BinaryWriter, field: DescField, rng: Rng, draw: Draw, depth: number): void {
  const extreme = draw === 'extreme'
  if (field.message !== undefined) {
    if (depth < 4) {
      writer.tag(field.number, WireType.LengthDelimited).bytes(message(field.message, rng, draw, depth + 1))
    }
    return
  }
  if (field.enum !== undefined) {
    writer.tag(field.number, WireType.Varint).int32(extreme ? -2147483648 : rng.int(8))
    return
  }
  switch (field.scalar) {
    case ScalarType.DOUBLE:
      writer
        .tag(field.number, WireType.Bit64)
        .double(extreme ? pick(rng, [Number.NaN, -1e308, 1e308]) : rng.normal())
      break
    case ScalarType.FLOAT:
      writer
        .tag(field.number, WireType.Bit32)
        .float(extreme ? pick(rng, [Number.NaN, Number.POSITIVE_INFINITY, -3e38]) : 10 * rng.float())
      break
    case ScalarType.BOOL:
      writer.tag(field.number, WireType.Varint).bool(rng.float() < 0.5)
      break
    case ScalarType.STRING:
      writer
        .tag(field.number, WireType.LengthDelimited)
        .string(extreme ? '\u001b[2J\n\u202e'.repeat(100) : `text ${rng.int(100)}`)
      break
    case ScalarType.BYTES:
      writer.tag(field.number, WireType.LengthDelimited).bytes(random(rng, extreme ? 4000 : 32))
      break
    case ScalarType.INT64:
    case ScalarType.UINT64:
      writer.tag(field.number, WireType.Varint).uint64(extreme ? (1n << 64n) - 1n : BigInt(rng.int(1e6)))
      break
    default:
      writer.tag(field.number, WireType.Varint).uint32(extreme ? 0xffffffff : rng.int(20))
  }
}

/** Every field with a wire type of another. */
function wrongTypes({ fields }: DescMessage, rng: Rng): Uint8Array {
  const writer = new BinaryWriter()
  for (const { number } of fields) {
    if (rng.float() < 0.5) writer.tag(number, WireType.Varint).uint32(rng.int(1e6))
    else writer.tag(number, WireType.LengthDelimited).bytes(random(rng, 8))
  }
  return writer.finish()
}

/** More bytes than are taken, in a field that nobody knows. */
function tooBig(bytes: number): Uint8Array {
  return new BinaryWriter().tag(1000, WireType.LengthDelimited).bytes(new Uint8Array(bytes)).finish()
}

/** Nearly as many entries as fit into 60 kB, of each list. */
function tooMany({ fields }: DescMessage): Uint8Array {
  const writer = new BinaryWriter()
  for (const field of fields.filter(({ fieldKind }) => fieldKind === 'list')) {
    for (let i = 0; i < 20_000; i++)
      writer.tag(field.number, WireType.LengthDelimited).bytes(new Uint8Array(0))
  }
  return writer.finish()
}

function cut(bytes: Uint8Array, rng: Rng): Uint8Array {
  return bytes.subarray(0, rng.int(bytes.length))
}

function flip(bytes: Uint8Array, rng: Rng): Uint8Array {
  const flipped = Uint8Array.from(bytes)
  for (let i = 0; i < 4; i++) flipped[rng.int(flipped.length)] ^= 1 << rng.int(8)
  return flipped
}

function random(rng: Rng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => rng.int(256))
}

function pick<T>(rng: Rng, values: T[]): T {
  return values[rng.int(values.length)]
}
