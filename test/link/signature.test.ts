import { generateKeyPairSync, verify } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { create, toBinary } from '@bufbuild/protobuf'
import {
  type ControlSchema,
  decodeEnvelope,
  EnvelopeSchema,
  encodeEnvelope,
  MessageRefused,
  signEnvelope,
  topic,
  UpdateSchema,
  verifyEnvelope,
} from '@kestrel/link'
import { VirtualClock } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

const clock = new VirtualClock(1_700_000_000_000)
const ground = generateKeyPairSync('ed25519')
const stranger = generateKeyPairSync('ed25519')
const there = topic('scout-1', 'update')
const value = { baseVersion: 3, version: 4, part: 0, parts: 1, data: Uint8Array.of(1, 2, 3) }
const plain = encodeEnvelope({ case: 'update', value }, { clock })
const signed = signEnvelope(plain, { topic: there, counter: 77n, key: ground.privateKey })

/** The counter, or the reason of the refusal. */
function check(bytes: Uint8Array, name = there, key = ground.publicKey): bigint | string {
  try {
    return verifyEnvelope(bytes, decodeEnvelope(bytes), { topic: name, key })
  } catch (error) {
    if (error instanceof MessageRefused) return error.reason
    throw error
  }
}

t.test('what the ground signed is taken, for its drone and its topic only', async t => {
  t.equal(check(signed), 77n)
  t.match(decodeEnvelope(signed).payload.value, value, 'it is the same message for who does not look')
  t.equal(check(plain), 'signature', 'not signed')
  t.equal(check(signed, topic('scout-2', 'update')), 'signature', 'another drone')
  t.equal(check(signed, topic('scout-1', 'control')), 'signature', 'another topic')
  t.equal(check(signed, there, stranger.publicKey), 'signature', 'another key')
  t.equal(
    check(signEnvelope(plain, { topic: there, counter: 77n, key: stranger.privateKey })),
    'signature',
    'signed by a stranger',
  )
})

t.test('the signature covers topic, counter and payload as they are on the wire', async t => {
  const { signature } = decodeEnvelope(signed)
  const counter = Buffer.from([0, 0, 0, 0, 0, 0, 0, 77])
  const payload = toBinary(UpdateSchema, create(UpdateSchema, value))
  const covered = Buffer.concat([Buffer.from(`kestrel/v1 signed\0${there}\0`), counter, payload])
  t.ok(verify(null, covered, ground.publicKey, signature!.ed25519))
})

t.test('no changed byte gets through', async t => {
  fc.assert(
    fc.property(fc.nat(signed.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const changed = Uint8Array.from(signed)
      changed[at] ^= mask
      const result = check(changed)
      // Id and time are not signed: what they change is no message of its own.
      if (typeof result === 'string') return true
      return (
        result === 77n && isDeepStrictEqual(decodeEnvelope(changed).payload, decodeEnvelope(signed).payload)
      )
    }),
    { numRuns: 3000, seed: 5 },
  )
  t.pass('whatever is changed')
})

t.test('nothing can be joined to it', async t => {
  const more = toBinary(
    EnvelopeSchema,
    create(EnvelopeSchema, { payload: { case: 'update', value: create(UpdateSchema, { version: 99 }) } }),
  )
  t.equal(check(Buffer.concat([signed, more])), 'signature')
  t.equal(check(Buffer.concat([more, signed])), 'signature')
  const control: Parameters<typeof create<typeof ControlSchema>>[1] = { paused: true }
  const other = encodeEnvelope({ case: 'control', value: control }, { clock })
  t.equal(check(Buffer.concat([signed, other.subarray(2)])), 'signature')
  const two = Buffer.concat([
    signed,
    toBinary(EnvelopeSchema, create(EnvelopeSchema, { signature: { counter: 1000n } })),
  ])
  t.equal(check(two), 'signature', 'another counter')
})
