import { create, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import {
  checkDroneName,
  Deduplicator,
  decodeEnvelope,
  delivery,
  EnvelopeSchema,
  encodeEnvelope,
  everyDrone,
  filtersOverlap,
  MessageRefused,
  matchesFilter,
  newMessageId,
  parseTopic,
  SCHEMA_VERSION,
  topic,
  VideoCodec,
  type What,
} from '@kestrel/link'
import { UserError, VirtualClock } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

const clock = new VirtualClock(1_700_000_000_123.5)

function refusal(bytes: Uint8Array, options?: { maxBytes?: number }): string {
  try {
    decodeEnvelope(bytes, options)
  } catch (error) {
    if (error instanceof MessageRefused) return error.reason
    throw error
  }
  return 'taken'
}

t.test('what is encoded is decoded', async t => {
  const video = new Uint8Array([1, 2, 3])
  const frames = [{ frameId: 7n, captureUs: 12n, sourceIndex: 3n }]
  const bytes = encodeEnvelope(
    {
      case: 'segment',
      value: { sequence: 5n, codec: VideoCodec.H264, width: 64, height: 32, frames, video },
    },
    { clock },
  )
  const { schema, id, sentUs, payload } = decodeEnvelope(bytes)
  t.equal(schema, SCHEMA_VERSION)
  t.equal(id.length, 16)
  t.equal(sentUs, 1_700_000_000_123_500n)
  t.equal(payload.case, 'segment')
  if (payload.case !== 'segment') return
  t.same([...payload.value.video], [1, 2, 3])
  t.same(payload.value.frames[0].sourceIndex, 3n)
  const again = decodeEnvelope(encodeEnvelope({ case: 'control', value: {} }, { clock, id }))
  t.same([...again.id], [...id], 'an id may be given')
  t.throws(() => encodeEnvelope({ case: 'control', value: {} }, { clock, id: new Uint8Array(3) }), RangeError)
})

t.test('what does not belong is refused with its reason', async t => {
  const envelope = (init: object) => toBinary(EnvelopeSchema, create(EnvelopeSchema, init))
  const id = newMessageId()
  const payload = { case: 'control' as const, value: {} }
  t.equal(refusal(envelope({ schema: SCHEMA_VERSION, id, payload })), 'taken')
  t.equal(refusal(envelope({ schema: SCHEMA_VERSION + 1, id, payload })), 'newer-schema')
  t.equal(refusal(envelope({ schema: 0, id, payload })), 'malformed')
  t.equal(refusal(envelope({ schema: SCHEMA_VERSION, id: id.subarray(1), payload })), 'malformed')
  t.equal(refusal(envelope({ schema: SCHEMA_VERSION, id })), 'no-payload')
  t.equal(refusal(new Uint8Array()), 'malformed')
  t.equal(refusal(new Uint8Array(100), { maxBytes: 99 }), 'too-big')
  t.equal(refusal(new Uint8Array(17 * 1024 * 1024)), 'too-big')
  // From a later version, with a payload unknown here and fields whose wire type is none: the version is what is said.
  const later = new BinaryWriter().tag(1, WireType.Varint).uint32(9).tag(99, WireType.LengthDelimited)
  t.equal(refusal(later.bytes(new Uint8Array(5)).finish()), 'newer-schema')
})

t.test('sizes and counts are checked before anything is built', async t => {
  const id = newMessageId()
  const make = (value: object, kind: string) =>
    toBinary(
      EnvelopeSchema,
      create(EnvelopeSchema, { schema: SCHEMA_VERSION, id, payload: { case: kind, value } as never }),
    )
  t.equal(refusal(make({ reason: 'x'.repeat(100_000) }, 'resync')), 'too-big')
  t.equal(refusal(make({ frames: new Array(4097).fill({}) }, 'segment')), 'too-big')
  t.equal(refusal(make({ frames: new Array(4096).fill({}) }, 'segment')), 'taken')
  t.equal(refusal(make({ classes: new Array(256).fill('') }, 'status')), 'too-big')
  t.equal(refusal(make({ data: new Uint8Array(10 * 1024 * 1024) }, 'update')), 'taken')
})

t.test('no bytes do harm', async () => {
  const good = encodeEnvelope(
    { case: 'update', value: { version: 3, data: new Uint8Array(50).fill(9) } },
    { clock },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      refusal(bytes)
    }),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, value, length) => {
      const changed = good.slice(0, length)
      if (at < length) changed[at] = value
      refusal(changed)
    }),
    { numRuns: 500 },
  )
})

t.test('repeats are known for as long as they may come', async t => {
  const ids = Array.from({ length: 6 }, newMessageId)
  const deduplicator = new Deduplicator(4)
  t.same(
    ids.slice(0, 4).map(id => deduplicator.isRepeat(id)),
    [false, false, false, false],
  )
  t.ok(deduplicator.isRepeat(ids[0].slice()), 'by value')
  t.notOk(deduplicator.isRepeat(ids[4]), 'and the oldest is forgotten')
  t.notOk(deduplicator.isRepeat(ids[0]))
  t.ok(deduplicator.isRepeat(ids[3]))
})

t.test('topics', async t => {
  for (const what of Object.keys(delivery) as What[]) {
    t.same(parseTopic(topic('scout-1', what)), { drone: 'scout-1', what })
    t.ok(matchesFilter(everyDrone(what), topic('scout-1', what)))
  }
  const foreign = ['kestrel/v1/scout-1', 'kestrel/v2/a/status', 'kestrel/v1/A/status', 'kestrel/v1/a/b', 'x']
  for (const name of [...foreign, 'kestrel/v1/a/toString', 'kestrel/v1/a/status/x']) {
    t.equal(parseTopic(name), undefined, name)
  }
  for (const name of ['', 'Scout', 'a/b', '+', 'ä', 'x'.repeat(33)]) {
    t.throws(() => checkDroneName(name), UserError, name)
  }
  t.equal(checkDroneName('x'.repeat(32)), 'x'.repeat(32))
})

t.test('filters match as the standard says (examples of MQTT 3.1.1 section 4.7)', async t => {
  const cases: [string, string, boolean][] = [
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['#', 'a/b', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/x', false],
    ['+/monitor/Clients', '$SYS/monitor/Clients', false],
    ['$SYS/#', '$SYS/x', true],
    ['a/b', 'a', false],
  ]
  for (const [filter, name, match] of cases) t.equal(matchesFilter(filter, name), match, `${filter} ${name}`)
})

t.test('filters overlap when some topic matches both', async t => {
  const level = fc.constantFrom('a', 'b', '+')
  const filter = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'))
  const topics: string[] = []
  for (const a of 'abc') {
    topics.push(a)
    for (const b of 'abc') {
      topics.push(`${a}/${b}`)
      for (const c of 'abc') topics.push(`${a}/${b}/${c}`, `${a}/${b}/${c}/c`)
    }
  }
  fc.assert(
    fc.property(filter, filter, (a, b) => {
      const both = topics.some(name => matchesFilter(a, name) && matchesFilter(b, name))
      return filtersOverlap(a, b) === both
    }),
  )
  t.ok(filtersOverlap('#', 'a'))
})
