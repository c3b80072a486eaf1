import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diskSegmentStore, memorySegmentStore, Outbox } from '@kestrel/agent'
import { silentLog, VirtualClock } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

const message = (n: number, bytes = 4) => new Uint8Array(bytes).fill(n)

function collector() {
  const sent: number[] = []
  return { sent, publish: async (bytes: Uint8Array) => void sent.push(bytes[0]) }
}

t.test('keeps while the link is down, then sends the newest first, each once', async t => {
  const { sent, publish } = collector()
  const outbox = new Outbox({ publish, log: silentLog })
  for (const n of [1, 2, 3]) outbox.push(message(n))
  await outbox.idle()
  t.same(sent, [])
  t.equal(outbox.length, 3)
  outbox.setUp(true)
  await outbox.idle()
  outbox.push(message(4))
  await outbox.idle()
  t.same(sent, [3, 2, 1, 4])
  t.match(outbox, { length: 0, bytes: 0, sent: 4, dropped: 0 })
})

t.test('what was not delivered is not lost', async t => {
  const sent: number[] = []
  let failures = 1
  const publish = async (bytes: Uint8Array) => {
    if (failures-- > 0) throw new Error('gone')
    sent.push(bytes[0])
  }
  const outbox = new Outbox({ publish, log: silentLog })
  outbox.setUp(true)
  outbox.push(message(1))
  await outbox.idle()
  t.equal(outbox.length, 1)
  outbox.push(message(2))
  await outbox.idle()
  t.same(sent, [2, 1])
})

t.test('is bounded in segments and bytes: the newest remain, the rest is counted', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 100 }),
      async (sizes, maxSegments, maxBytes) => {
        const { sent, publish } = collector()
        const outbox = new Outbox({ publish, maxSegments, maxBytes, log: silentLog })
        sizes.forEach((size, i) => {
          outbox.push(message(i, size))
        })
        const kept = outbox.length
        const bounded = kept <= maxSegments && (outbox.bytes <= maxBytes || kept === 1)
        const counted = outbox.dropped + kept === sizes.length
        outbox.setUp(true)
        await outbox.idle()
        const newest = sizes.map((_, i) => sizes.length - 1 - i).slice(0, kept)
        return bounded && counted && JSON.stringify(sent) === JSON.stringify(newest)
      },
    ),
  )
})

t.test('a segment that is on its way is not pushed out: it would arrive and count as dropped', async t => {
  let release = () => {}
  const sent: number[] = []
  const publish = async (bytes: Uint8Array) => {
    sent.push(bytes[0])
    if (bytes[0] === 1) {
      await new Promise<void>(resolve => {
        release = resolve
      })
    }
  }
  const outbox = new Outbox({ publish, maxSegments: 2, log: silentLog })
  outbox.setUp(true)
  for (const n of [1, 2, 3]) outbox.push(message(n))
  release()
  await outbox.idle()
  t.same(sent, [1, 3])
  t.match(outbox, { length: 0, sent: 2, dropped: 1 })
})

t.test('on disk it survives a restart, in order, and half-written files are cleared away', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-outbox-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const first = new Outbox({ publish: async () => {}, store: diskSegmentStore(folder), log: silentLog })
  for (const n of [1, 2, 3]) first.push(message(n))
  writeFileSync(join(folder, '000000000009.segment.new'), 'half')
  const { sent, publish } = collector()
  const second = new Outbox({ publish, store: diskSegmentStore(folder), maxSegments: 3, log: silentLog })
  t.equal(second.length, 3)
  second.push(message(4))
  t.equal(second.dropped, 1)
  second.setUp(true)
  await second.idle()
  t.same(sent, [4, 3, 2])
  t.same(readdirSync(folder), [])
})

t.test('a disk that is full costs the segment, not the flight', async t => {
  const store = {
    ...memorySegmentStore(),
    write() {
      throw new Error('ENOSPC')
    },
  }
  const outbox = new Outbox({ publish: async () => {}, store, log: silentLog })
  outbox.push(message(1))
  t.match(outbox, { length: 0, dropped: 1 })
})

t.test('a bound that shrinks takes the oldest, and holds until it grows again', async t => {
  const { sent, publish } = collector()
  const outbox = new Outbox({ publish, maxBytes: 100, log: silentLog })
  for (const n of [1, 2, 3, 4]) outbox.push(message(n, 10))
  outbox.limit(25)
  t.match(outbox, { length: 2, bytes: 20, dropped: 2 })
  outbox.push(message(5, 10))
  t.match(outbox, { length: 2, dropped: 3 })
  outbox.limit(0)
  t.match(outbox, { length: 1, dropped: 4 }, 'the newest stays')
  outbox.limit(100)
  outbox.push(message(6, 10))
  outbox.setUp(true)
  await outbox.idle()
  t.same(sent, [6, 5])
})

/** An outbox whose ground gives receipts. */
function withReceipts(options: Partial<ConstructorParameters<typeof Outbox>[0]> = {}) {
  const { sent, publish } = collector()
  const clock = new VirtualClock(0)
  const idOf = (bytes: Uint8Array) => String(bytes[0])
  return { sent, clock, outbox: new Outbox({ publish, idOf, clock, log: silentLog, ...options }) }
}
const settled = () => new Promise(resolve => setImmediate(resolve))

t.test(
  'with receipts it keeps a segment until the ground has it, and sends no more than the ground can take',
  async t => {
    const { sent, outbox } = withReceipts()
    for (const n of [1, 2, 3, 4, 5, 6]) outbox.push(message(n))
    outbox.setUp(true)
    await settled()
    t.same(sent, [6, 5, 4, 3])
    t.match(outbox, { length: 6, sent: 0 })
    outbox.receipt('5')
    await settled()
    t.same(sent, [6, 5, 4, 3, 2])
    outbox.receipt('5')
    outbox.receipt('nobody knows it')
    t.match(outbox, { length: 5, sent: 1 }, 'a receipt counts once')
    outbox.push(message(7))
    outbox.receipt('6')
    await settled()
    t.same(sent, [6, 5, 4, 3, 2, 7], 'the newest overtakes the backlog')
  },
)

t.test(
  'another ground station of a cluster gets again what the one before had, and no receipt was given for',
  async t => {
    const { sent, outbox } = withReceipts()
    outbox.setUp(true)
    for (const n of [1, 2]) {
      outbox.push(message(n))
      await settled()
    }
    outbox.receipt('1')
    outbox.resend()
    await settled()
    t.same(sent, [1, 2, 2])
  },
)

t.test('without a receipt a segment goes again: when the link is back, or after a minute', async t => {
  const { sent, outbox, clock } = withReceipts()
  outbox.setUp(true)
  outbox.push(message(1))
  await settled()
  outbox.setUp(false)
  outbox.setUp(true)
  await settled()
  t.same(sent, [1, 1])
  await clock.advanceTo(59_000)
  outbox.push(message(2))
  await settled()
  t.same(sent, [1, 1, 2])
  await clock.advanceTo(61_000)
  outbox.push(message(3))
  await settled()
  t.same(sent, [1, 1, 2, 3, 1])
  for (const n of [1, 2, 3]) outbox.receipt(String(n))
  t.match(outbox, { length: 0, sent: 3, dropped: 0, unconfirmed: 0 })
})

t.test('what is pushed out after it was sent is counted apart: the ground may have it', async t => {
  const { outbox } = withReceipts({ maxSegments: 2 })
  outbox.setUp(true)
  outbox.push(message(1))
  await settled()
  outbox.setUp(false)
  for (const n of [2, 3, 4]) outbox.push(message(n))
  t.match(outbox, { length: 2, dropped: 1, unconfirmed: 1 })
})

t.test(
  'when it empties, a ground that gives receipts is waited for, and one that never gave any is not',
  async t => {
    const { outbox } = withReceipts()
    outbox.setUp(true)
    outbox.push(message(1))
    await outbox.idle()
    t.equal(outbox.length, 1)
    outbox.receipt('1')
    outbox.push(message(2))
    let isIdle = false
    const idle = outbox.idle().then(() => {
      isIdle = true
    })
    await settled()
    t.notOk(isIdle)
    outbox.receipt('2')
    await idle
    t.equal(outbox.length, 0)
  },
)

t.test('a stored segment that cannot be read is dropped and counted, and holds up nothing', async t => {
  const { sent, outbox } = withReceipts({
    idOf: bytes => {
      if (bytes[0] === 2) throw new Error('not a Kestrel message')
      return String(bytes[0])
    },
  })
  for (const n of [1, 2, 3]) outbox.push(message(n))
  outbox.setUp(true)
  await settled()
  t.same(sent, [3, 1])
  t.match(outbox, { length: 2, dropped: 1 })
})
