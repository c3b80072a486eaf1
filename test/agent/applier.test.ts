import { create } from '@bufbuild/protobuf'
import { inProcessDecoder, type StudentHost, UpdateApplier, UpdateParts } from '@kestrel/agent'
import { UpdateSchema } from '@kestrel/link'
import { encodeUpdate, parameterDigest, readParameters } from '@kestrel/models'
import { VirtualClock } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { tinyStudent, updateChain } from './support.js'

const student = tinyStudent()

/** A host and a store that note what is asked of them and fail where they are told to. */
function rig(failing?: string) {
  const fail = (name: string) => {
    failing = name
  }
  const calls: string[] = []
  const call = async (name: string) => {
    calls.push(name)
    await new Promise(resolve => setImmediate(resolve))
    if (failing === name) throw new Error(`${name} broke`)
  }
  const host: StudentHost = {
    load: () => call('load'),
    async canary() {
      await call('canary')
      return failing === 'verdict' ? { ok: false, detail: 'one class only' } : { ok: true, detail: 'fine' }
    },
    swap: () => call('swap'),
  }
  const store = { save: () => call('store'), fallBack: () => call('fall back') }
  const start = { version: 0, parameters: readParameters(student) }
  const applier = new UpdateApplier({ student, host, store, start, clock: new VirtualClock() })
  return { applier, calls, fail, host, store }
}

t.test('load, canary, store, swap: in that order, and then it flies', async t => {
  const { applier, calls } = rig()
  const chain = updateChain(student)
  const result = await applier.apply(chain.next())
  t.match(result, { applied: true, version: 1, modelVersion: 1, reason: '', detail: 'fine' })
  t.same(calls, ['load', 'canary', 'store', 'swap'])
  t.equal(applier.version, 1)
  t.same(applier.digest, chain.state.digest)
  t.same(result.modelDigest, chain.state.digest)
  t.same(applier.parameters, chain.state.parameters)
})

for (const [failing, reason, last] of [
  ['load', 'load', 'load'],
  ['canary', 'canary', 'canary'],
  ['verdict', 'canary', 'canary'],
  ['store', 'store', 'store'],
  ['swap', 'swap', 'fall back'],
]) {
  t.test(`${failing} fails: refused with the reason, nothing changes`, async t => {
    const { applier, calls } = rig(failing)
    const before = parameterDigest(readParameters(student))
    const result = await applier.apply(updateChain(student).next())
    t.match(result, { applied: false, version: 1, modelVersion: 0, reason })
    t.ok(result.detail.length > 0)
    t.equal(calls.at(-1), last)
    t.same(applier.digest, before)
    t.same(parameterDigest(applier.parameters), before)
    t.equal(applier.version, 0)
  })
}

t.test('a swap that fails is undone on disk too: after a restart the same weights fly', async t => {
  const { applier, calls } = rig('swap')
  await applier.apply(updateChain(student).next())
  t.same(calls, ['load', 'canary', 'store', 'swap', 'fall back'])
})

t.test(
  'rolling back: the weights before fly again, under their own number, and those do not come back',
  async t => {
    const { applier, calls } = rig()
    const chain = updateChain(student)
    const [first, second] = [chain.next(), chain.next()]
    await applier.apply(first)
    const before = { digest: applier.digest, parameters: applier.parameters }
    await applier.apply(second)
    const bad = applier.digest
    calls.length = 0
    t.match(await applier.rollBack(), { rolledBack: true, from: 2, to: 1, detail: '' })
    t.same(calls, ['load', 'fall back', 'swap'])
    t.equal(applier.version, 1)
    t.same({ digest: applier.digest, parameters: applier.parameters }, before)
    t.same(applier.rolledBack, [bad])
    const again = await applier.apply(second)
    t.match(again, { applied: false, reason: 'rolled-back', version: 2, modelVersion: 1, rolledBack: [bad] })
    t.match(
      await applier.rollBack(),
      { rolledBack: true, from: 1, to: 0 },
      'the model as shipped is before all',
    )
    t.same(parameterDigest(applier.parameters), parameterDigest(readParameters(student)))
    t.match(await applier.rollBack(), { rolledBack: false, from: 0, to: 0, detail: /nothing before/ })
    t.same(applier.rolledBack.length, 2)
  },
)

t.test('the drone learns on from where it went back to', async t => {
  const { applier } = rig()
  const chain = updateChain(student)
  await applier.apply(chain.next())
  const before = { ...chain.state }
  await applier.apply(chain.next())
  await applier.rollBack()
  const indices = Uint32Array.of(3, 9)
  const next = encodeUpdate({
    codec: 'delta',
    baseVersion: 1,
    version: 3,
    base: before.parameters,
    indices,
    values: Float32Array.of(0.5, -0.25),
  })
  t.match(await applier.apply(next.bytes), { applied: true, modelVersion: 3, modelDigest: next.digest })
  t.match(await applier.rollBack(), { rolledBack: true, from: 3, to: 1 })
})

t.test(
  'weights that the ground rejects: back where they fly, barred in any case, as often as it says so',
  async t => {
    const { applier, calls } = rig()
    const chain = updateChain(student)
    await applier.apply(chain.next())
    const second = chain.next()
    const bad = chain.state.digest
    t.equal(await applier.reject(bad), undefined, 'it does not fly them')
    t.match(await applier.apply(second), { applied: false, reason: 'rolled-back' })
    const flown = applier.digest
    t.match(await applier.reject(flown), { rolledBack: true, from: 1, to: 0 })
    calls.length = 0
    t.equal(await applier.reject(flown), undefined)
    t.equal(await applier.reject(new Uint8Array()), undefined)
    t.same(calls, [])
    for (let i = 0; i < 40; i++) await applier.reject(new Uint8Array(32).fill(i))
    t.equal(applier.rolledBack.length, 16, 'the last ones are remembered')
  },
)

for (const failing of ['load', 'swap']) {
  t.test(`rolling back, ${failing} fails: said, and nothing changes`, async t => {
    const { applier, fail } = rig()
    await applier.apply(updateChain(student).next())
    fail(failing)
    t.match(await applier.rollBack(), { rolledBack: false, from: 1, to: 1, detail: `${failing} broke` })
    t.equal(applier.version, 1)
    t.same(applier.rolledBack, [])
  })
}

t.test('going back passes over weights that were rejected', async t => {
  const { applier, fail } = rig()
  const chain = updateChain(student)
  await applier.apply(chain.next())
  const bad = applier.digest
  fail('load')
  t.match(await applier.reject(bad), { rolledBack: false, to: 1 }, 'it could not')
  fail('')
  t.match(await applier.apply(chain.next()), { applied: true, modelVersion: 2 })
  t.match(await applier.rollBack(), { rolledBack: true, from: 2, to: 0 })
})

t.test('where the disk does not take it, the drone rolls back all the same and says so', async t => {
  const { applier, fail } = rig()
  await applier.apply(updateChain(student).next())
  fail('fall back')
  t.match(await applier.rollBack(), { rolledBack: true, to: 0, detail: /after a restart: fall back broke/ })
  t.equal(applier.version, 0)
})

t.test('after a restart it knows what was before, and what it must not fly', async t => {
  const chain = updateChain(student)
  const [first, second] = [chain.next(), chain.next()]
  const { applier: old } = rig()
  await old.apply(first)
  const one = { version: 1, parameters: old.parameters }
  await old.apply(second)
  const restarted = (rolledBack: Uint8Array[] = []) => {
    const { host, store } = rig()
    const start = rolledBack.length > 0 ? one : { version: 2, parameters: old.parameters }
    const previous = rolledBack.length > 0 ? undefined : one
    return new UpdateApplier({ student, host, store, start, previous, rolledBack, clock: new VirtualClock() })
  }
  t.match(await restarted().rollBack(), { rolledBack: true, from: 2, to: 1 })
  const barred = restarted([old.digest])
  t.match(await barred.apply(second), { applied: false, reason: 'rolled-back' })
  t.match(await barred.rollBack(), { rolledBack: true, from: 1, to: 0 })
})

t.test('updates are applied one at a time, in the order they came', async t => {
  const { applier, calls } = rig()
  const chain = updateChain(student)
  const updates = [chain.next(), chain.next(), chain.next()]
  const results = await Promise.all(updates.map(update => applier.apply(update)))
  t.same(
    results.map(({ applied, modelVersion }) => [applied, modelVersion]),
    [
      [true, 1],
      [true, 2],
      [true, 3],
    ],
  )
  t.same(calls, Array.from({ length: 3 }, () => ['load', 'canary', 'store', 'swap']).flat())
})

t.test('a gap, a repeat and an older update are refused, the chain goes on', async t => {
  const { applier } = rig()
  const chain = updateChain(student)
  const [first, second, third] = [chain.next(), chain.next(), chain.next()]
  t.match(await applier.apply(first), { applied: true })
  t.match(await applier.apply(third), { applied: false, reason: 'wrong-base', version: 3, modelVersion: 1 })
  t.match(await applier.apply(first), { applied: false, reason: 'not-newer', version: 1 })
  t.match(await applier.apply(second), { applied: true })
  t.match(await applier.apply(third), { applied: true, modelVersion: 3 })
})

t.test('whatever bytes come, nothing but a sound update touches the host', async () => {
  const good = updateChain(student).next()
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
          const bytes = good.slice()
          bytes[at] ^= flip
          return bytes
        }),
        fc.nat(good.length - 1).map(length => good.slice(0, length)),
      ),
      async bytes => {
        const { applier, calls } = rig()
        const { applied, reason } = await applier.apply(bytes)
        return !applied && reason !== '' && reason !== 'failed' && calls.length === 0 && applier.version === 0
      },
    ),
    { numRuns: 300 },
  )
})

t.test('the patched model is the shipped one with the new parameters', async t => {
  const chain = updateChain(student)
  const start = { version: 0, parameters: readParameters(student) }
  const decoded = await inProcessDecoder(student).decode(chain.next(), start)
  const patched = { ...student, bytes: decoded.bytes }
  t.same(readParameters(patched), chain.state.parameters)
  t.equal(decoded.bytes.length, student.bytes.length)
})

const update = (part: number, parts: number, data: Uint8Array, version = 1) =>
  create(UpdateSchema, { version, part, parts, data })

t.test('parts come together in any order, repeats included', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 8 }),
      fc.infiniteStream(fc.nat()),
      (pieces, random) => {
        const parts = new UpdateParts({ parameterCount: 1000 })
        const order = pieces.map((_, i) => i).sort(() => ((random.next().value as number) % 3) - 1)
        const repeated = order.flatMap(i => ((random.next().value as number) % 2 === 0 ? [i, i] : [i]))
        const wholes = repeated
          .slice(0, repeated.lastIndexOf(order.at(-1)!) + 1)
          .map(i => parts.add(update(i, pieces.length, pieces[i])))
          .filter(whole => whole !== undefined)
        return wholes.length >= 1 && Buffer.concat(pieces).equals(wholes[0])
      },
    ),
  )
})

t.test('parts of a newer update take the place of an unfinished one; nonsense is refused', async t => {
  const parts = new UpdateParts({ parameterCount: 1000 })
  t.equal(parts.add(update(0, 2, Uint8Array.of(1))), undefined)
  t.equal(parts.add(update(0, 2, Uint8Array.of(2), 2)), undefined)
  t.same(parts.add(update(1, 2, Uint8Array.of(3), 2)), Buffer.of(2, 3))
  t.same(parts.add(update(0, 0, Uint8Array.of(9))), Uint8Array.of(9), 'no parts: whole')
  t.throws(() => parts.add(update(3, 2, Uint8Array.of(1))), RangeError)
  t.throws(() => parts.add(update(0, 5000, Uint8Array.of(1))), RangeError)
  const big = new Uint8Array(40_000)
  parts.add(update(0, 3, big))
  t.throws(() => parts.add(update(1, 3, big)), /at most 69536/)
  t.equal(parts.add(update(2, 3, Uint8Array.of(1))), undefined, 'and what it had is forgotten')
})
