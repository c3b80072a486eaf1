import {
  applyUpdate,
  type EncodeUpdateOptions,
  encodeUpdate,
  loadStudent,
  parameterDigest,
  patchParameters,
  readParameters,
  readUpdateHeader,
  UpdateRefused,
  withParameters,
  writeOnnx,
} from '@kestrel/models'
import { createRng, type Rng, sampleWithoutReplacement } from '@kestrel/runtime'
import { f16round } from '@petamoriken/float16'
import fc from 'fast-check'
import t from 'tap'
import { tinyModel } from '../support/students.js'
import { seal } from '../support/updates.js'

type Values = Uint8Array | Float32Array | Uint32Array

const codecs = ['paper', 'delta', 'checkpoint'] as const

const same = (a: Values, b: Values) =>
  Buffer.compare(
    new Uint8Array(a.buffer, a.byteOffset, a.byteLength),
    new Uint8Array(b.buffer, b.byteOffset, b.byteLength),
  ) === 0

/** Values of every kind: ordinary weights, zeros of both signs, subnormal halves, the ends of the range. */
function anyValue(rng: Rng): number {
  const kind = rng.int(10)
  if (kind === 0) return rng.int(2) ? 0 : -0
  if (kind === 1) return (rng.float() - 0.5) * 2 ** -13
  if (kind === 2) return (rng.float() - 0.5) * 2 * 65519
  return 0.1 * rng.normal()
}

function randomUpdate(
  rng: Rng,
  codec: EncodeUpdateOptions['codec'],
  parameterCount: number,
): EncodeUpdateOptions {
  const base = Float32Array.from({ length: parameterCount }, () =>
    codec !== 'checkpoint' && rng.int(50) === 0 ? 1e6 * rng.normal() : anyValue(rng),
  )
  const count = [0, 1, parameterCount, rng.int(parameterCount + 1)][rng.int(4)]
  const indices = sampleWithoutReplacement(parameterCount, Math.min(count, parameterCount), rng)
  // Half of them a small step from the base, as training makes them.
  const values = Float32Array.from(indices, i =>
    rng.int(2) && Math.abs(base[i]) < 100 ? base[i] + 0.01 * rng.normal() : anyValue(rng),
  )
  return { codec, baseVersion: 7, version: 8, base, indices, values }
}

for (const codec of codecs) {
  t.test(`${codec}: what is applied is what was encoded, to the bit`, async t => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 700 }), (seed, parameterCount) => {
        const options = randomUpdate(createRng(seed), codec, parameterCount)
        const before = options.base.slice()
        const { bytes, parameters, digest } = encodeUpdate(options)
        const applied = applyUpdate(bytes, { version: 7, parameters: options.base })
        const expected = codec === 'checkpoint' ? before.map(f16round) : before.slice()
        options.indices.forEach((index, i) => {
          expected[index] = f16round(options.values[i])
        })
        t.ok(same(expected, parameters), 'the encoder rounds as binary16 does')
        t.ok(same(parameters, applied.parameters))
        t.ok(same(digest, applied.digest) && same(digest, parameterDigest(parameters)))
        t.ok(same(before, options.base), 'the base is left alone')
        t.not(applied.parameters.buffer, options.base.buffer)
        t.equal(applied.version, 8)
        if (codec !== 'checkpoint') t.ok(same(applied.indices, options.indices))
        applied.indices.forEach((index, i) => {
          before[index] = applied.values[i]
        })
        t.ok(same(before, parameters), 'indices and values say the same as the vector')
      }),
      { numRuns: 150 },
    )
  })

  t.test(`${codec}: the header tells what it is before anything is decoded`, async t => {
    const options = randomUpdate(createRng(3), codec, 100)
    const header = readUpdateHeader(encodeUpdate(options).bytes)
    const checkpoint = codec === 'checkpoint'
    t.match(header, { codec, version: 8, parameterCount: 100, baseVersion: checkpoint ? 0 : 7 })
    t.ok(same(header.baseDigest, checkpoint ? new Uint8Array(32) : parameterDigest(options.base)))
  })
}

t.test('an update is refused where it does not fit, with the reason', async t => {
  const options = randomUpdate(createRng(1), 'delta', 200)
  const parameters = options.base
  const { bytes } = encodeUpdate(options)
  const refuses = (reason: string, base: { version: number; parameters: Float32Array }, update = bytes) =>
    t.throws(() => applyUpdate(update, base), { name: 'UpdateRefused', reason }, reason)
  refuses('wrong-size', { version: 7, parameters: parameters.slice(1) })
  refuses('not-newer', { version: 8, parameters })
  refuses('not-newer', { version: 9, parameters })
  refuses('wrong-base', { version: 6, parameters })
  const other = parameters.slice()
  other[199] += 1
  refuses('wrong-digest', { version: 7, parameters: other })
  refuses('malformed', { version: 7, parameters }, bytes.subarray(0, 99))
  const format = bytes.slice()
  format[4] = 2
  refuses('unsupported', { version: 7, parameters }, format)
  const magic = bytes.slice()
  magic[0] ^= 1
  refuses('malformed', { version: 7, parameters }, magic)
  const result = bytes.slice()
  result[60] ^= 1
  refuses('malformed', { version: 7, parameters }, result)
  refuses('result-mismatch', { version: 7, parameters }, seal(result))
})

t.test('a checkpoint applies to any older version and any weights', async t => {
  const options = { ...randomUpdate(createRng(5), 'checkpoint', 64), version: 30 }
  const { bytes, parameters } = encodeUpdate(options)
  for (const version of [0, 3, 29]) {
    const applied = applyUpdate(bytes, { version, parameters: new Float32Array(64).fill(version) })
    t.ok(same(applied.parameters, parameters))
  }
  t.throws(() => applyUpdate(bytes, { version: 30, parameters: options.base }), {
    name: 'UpdateRefused',
    message: /not newer/,
  })
})

t.test('what binary16 cannot hold is not encoded, what is nonsense neither', async t => {
  const good = { baseVersion: 0, version: 1, base: new Float32Array(4), indices: Uint32Array.of(1, 2) }
  for (const value of [65520, -1e9, Number.POSITIVE_INFINITY, Number.NaN]) {
    for (const codec of codecs) {
      t.throws(() => encodeUpdate({ ...good, codec, values: Float32Array.of(0, value) }), {
        name: 'UserError',
        message: /Parameter 2 is .*diverged/,
      })
    }
  }
  const values = new Float32Array(2)
  for (const bad of [
    { indices: Uint32Array.of(2, 1) },
    { indices: Uint32Array.of(1, 1) },
    { indices: Uint32Array.of(1, 4) },
    { indices: Uint32Array.of(1) },
    { version: 0 },
    { version: 2 ** 32 },
    { baseVersion: 0.5 },
  ]) {
    t.throws(() => encodeUpdate({ ...good, codec: 'delta', values, ...bad }), RangeError)
  }
})

t.test('a delta is smaller than the paper format where weights move a little', async t => {
  const rng = createRng('small')
  const base = Float32Array.from({ length: 40000 }, () => 0.1 * rng.normal())
  const indices = sampleWithoutReplacement(base.length, 2000, rng)
  const values = Float32Array.from(indices, i => base[i] + 0.005 * rng.normal())
  const size = (codec: 'paper' | 'delta') =>
    encodeUpdate({ codec, baseVersion: 0, version: 1, base, indices, values }).bytes.length
  t.ok(size('delta') < 0.8 * size('paper'), `${size('delta')} against ${size('paper')}`)
})

t.test('shortened movements stay as near as was asked, and are the same on both sides', async t => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 16 }),
      (seed, count, movementBits) => {
        const options = { ...randomUpdate(createRng(seed), 'delta', count), movementBits }
        const { bytes, parameters } = encodeUpdate(options)
        const applied = applyUpdate(bytes, { version: 7, parameters: options.base })
        t.ok(same(parameters, applied.parameters))
        options.indices.forEach((index, i) => {
          const value = f16round(options.values[i])
          const from = Math.min(Math.max(f16round(options.base[index]), -65504), 65504)
          const allowed = Math.abs(value - from) * 2 ** -movementBits
          const off = Math.abs(parameters[index] - value)
          if (!(off <= allowed)) t.fail(`${parameters[index]} for ${value} from ${from}`)
        })
      },
    ),
  )
})

t.test('fewer bits of a movement make an update shorter', async t => {
  const rng = createRng('shorter')
  const base = Float32Array.from({ length: 40000 }, () => 0.1 * rng.normal())
  const indices = sampleWithoutReplacement(base.length, 2000, rng)
  const values = Float32Array.from(indices, i => base[i] + 0.005 * rng.normal())
  const size = (movementBits?: number) =>
    encodeUpdate({ codec: 'delta', baseVersion: 0, version: 1, base, indices, values, movementBits }).bytes
      .length
  t.equal(size(16), size(), 'binary16 has no more than these')
  t.ok(size(4) < 0.85 * size(), `${size(4)} of ${size()}`)
  t.ok(size(2) < size(4), `${size(2)} of ${size(4)}`)
})

t.test('200 updates in a row leave both sides, and the model on the drone, bit-identical', async t => {
  const rng = createRng('chain')
  const student = loadStudent(writeOnnx(tinyModel()), { source: 'tiny' })
  const model = student.bytes.slice()
  let ground = readParameters(student)
  let drone = { version: 0, parameters: readParameters(student) }
  for (let version = 1; version <= 200; version++) {
    const codec = version % 50 === 0 ? 'checkpoint' : version % 3 === 0 ? 'paper' : 'delta'
    const indices = sampleWithoutReplacement(ground.length, 1 + rng.int(40), rng)
    const values = Float32Array.from(indices, i => ground[i] + 0.02 * rng.normal())
    const update = encodeUpdate({ codec, baseVersion: version - 1, version, base: ground, indices, values })
    ground = update.parameters
    const applied = applyUpdate(update.bytes, drone)
    patchParameters(model, student.parameters, applied.indices, applied.values)
    drone = applied
    if (!same(ground, drone.parameters)) t.fail(`update ${version}`)
  }
  t.equal(drone.version, 200)
  t.ok(same(model, withParameters(student, ground)))
  t.notOk(same(model, student.bytes))
})

t.test('the error is one that callers can tell from a defect', async t => {
  const error = new UpdateRefused('malformed', 'why')
  t.ok(error instanceof Error)
  t.equal(error.reason, 'malformed')
})
