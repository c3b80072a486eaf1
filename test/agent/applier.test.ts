import { create } from '@bufbuild/protobuf'
import { inProcessDecoder, type StudentHost, UpdateApplier, UpdateParts } from '@kestrel/agent'
import { UpdateSchema } from '@kestrel/link'
import { parameterDigest, readParameters } from '@kestrel/models'
import { VirtualClock } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { tinyStudent, updateChain } from './support.js'

const student = tinyStudent()

/** A host and a store that note what is asked of them and fail where they are told to. */
function rig(failing?: string) {
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
  const store = { save: () => call('store') }
  const start = { version: 0, parameters: readParameters(student) }
  const applier = new UpdateApplier({ student, host, store, start, clock: new VirtualClock() })
  return { applier, calls }
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
  ['swap', 'swap', 'swap'],
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
