import { gzipSync } from 'node:zlib'
import { applyUpdate, encodeUpdate, UpdateRefused } from '@kestrel/models'
import { createRng, sampleWithoutReplacement } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { HEADER_BYTES, seal, withPayload } from '../support/updates.js'

const codecs = ['paper', 'delta', 'checkpoint'] as const
const PARAMETERS = 3000

const rng = createRng('fuzz')
const base = Float32Array.from({ length: PARAMETERS }, () => 0.1 * rng.normal())
const indices = sampleWithoutReplacement(PARAMETERS, 150, rng)
const values = Float32Array.from(indices, i => base[i] + 0.005 * rng.normal())
const pristine = base.slice()

/** Applies hostile bytes: refused, or with exactly the result that was encoded. Never another error, never a changed base. */
function attack(bytes: Uint8Array, expected: Uint8Array): 'refused' | 'same' {
  let outcome: 'refused' | 'same' = 'refused'
  try {
    const { digest } = applyUpdate(bytes, { version: 1, parameters: base })
    if (Buffer.compare(digest, expected) !== 0) throw new Error('applied with another result')
    outcome = 'same'
  } catch (error) {
    if (!(error instanceof UpdateRefused)) throw error
  }
  if (base.some((value, i) => !Object.is(value, pristine[i]))) throw new Error('the base was changed')
  return outcome
}

for (const codec of codecs) {
  const { bytes, digest } = encodeUpdate({ codec, baseVersion: 1, version: 2, base, indices, values })
  const payload = bytes.subarray(HEADER_BYTES)

  t.test(`${codec}: every truncation is refused, with and without the length put right`, async t => {
    for (let length = 0; length < bytes.length; length += length < 120 ? 1 : 7) {
      if (attack(bytes.subarray(0, length), digest) !== 'refused') t.fail(`${length} bytes`)
    }
    for (let length = 0; length < payload.length; length += length > payload.length - 40 ? 1 : 11) {
      if (attack(withPayload(bytes, payload.subarray(0, length)), digest) !== 'refused')
        t.fail(`${length} of payload`)
    }
    t.equal(attack(withPayload(bytes, payload), digest), 'same')
  })

  t.test(`${codec}: trailing bytes are refused`, async t => {
    for (const extra of [1, 2, 100]) {
      t.equal(attack(new Uint8Array([...bytes, ...new Uint8Array(extra)]), digest), 'refused')
      const longer = new Uint8Array([...payload, ...new Uint8Array(extra)])
      t.equal(attack(withPayload(bytes, longer), digest), 'refused')
    }
  })

  t.test(`${codec}: every flipped bit is refused`, async t => {
    for (let bit = 0; bit < 8 * bytes.length; bit += bit < 8 * HEADER_BYTES ? 1 : 5) {
      const flipped = bytes.slice()
      flipped[bit >> 3] ^= 1 << (bit & 7)
      if (attack(flipped, digest) !== 'refused') t.fail(`bit ${bit}`)
    }
  })

  t.test(`${codec}: random edits and random payloads do no harm`, async t => {
    const edit = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255))
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), edits => {
        const damaged = bytes.slice()
        for (const [at, value] of edits) damaged[at] = value
        if (Buffer.compare(damaged, bytes) !== 0) t.equal(attack(damaged, digest), 'refused')
        attack(seal(damaged), digest)
      }),
      { numRuns: 400 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), random => {
        t.equal(attack(withPayload(bytes, random), digest), 'refused')
      }),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), garbage => attack(garbage, digest) === 'refused'),
      { numRuns: 300 },
    )
  })
}

t.test('a gzip bomb is not unpacked', async t => {
  const { bytes, digest } = encodeUpdate({
    codec: 'paper',
    baseVersion: 1,
    version: 2,
    base,
    indices,
    values,
  })
  const bomb = gzipSync(new Uint8Array(64 << 20), { level: 9 })
  const update = withPayload(bytes, bomb)
  const before = process.memoryUsage().arrayBuffers
  t.equal(attack(update, digest), 'refused')
  t.ok(process.memoryUsage().arrayBuffers - before < 8 << 20)
})

t.test('claims of many parameters are refused before anything is allocated', async t => {
  const { bytes, digest } = encodeUpdate({
    codec: 'delta',
    baseVersion: 1,
    version: 2,
    base,
    indices,
    values,
  })
  const before = process.memoryUsage().arrayBuffers
  for (const [parameterCount, count] of [
    [0xffffffff, 0xffffffff],
    [PARAMETERS, 0xffffffff],
    [0xffffffff, 10],
  ]) {
    const lying = bytes.slice()
    const view = new DataView(lying.buffer)
    view.setUint32(16, parameterCount, true)
    view.setUint32(20, count, true)
    t.equal(attack(seal(lying), digest), 'refused')
  }
  t.ok(process.memoryUsage().arrayBuffers - before < 1 << 20)
})

t.test('a payload that leads out of the finite numbers is refused as such', async t => {
  // The paper's format carries the bits of a value as they are: plant an infinity.
  const plain = new Uint8Array(Math.ceil(PARAMETERS / 8) + 2)
  plain[0] = 1
  plain.set([0x00, 0x7c], plain.length - 2)
  const { bytes } = encodeUpdate({
    codec: 'paper',
    baseVersion: 1,
    version: 2,
    base,
    indices: Uint32Array.of(0),
    values: Float32Array.of(1),
  })
  const update = withPayload(bytes, gzipSync(plain))
  try {
    applyUpdate(update, { version: 1, parameters: base })
    t.fail('applied')
  } catch (error) {
    t.match(error, { name: 'UpdateRefused', reason: 'not-finite' })
  }
})
