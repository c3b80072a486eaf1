import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diskSegmentStore, memorySegmentStore, Outbox } from '@kestrel/agent'
import { silentLog } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

const message = (n: number, bytes = 4) => new Uint8Array(bytes).fill(n)

function collector() {
  const sent: number[] = []
  return { sent, publish: async (bytes: Uint8Array) => void sent.push(bytes[0]) }
}

t.test('keeps while the link is down, then sends in order, once', async t => {
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
  t.same(sent, [1, 2, 3, 4])
  t.match(outbox, { length: 0, bytes: 0, sent: 4, dropped: 0 })
})

t.test('what was not delivered stays first', async t => {
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
  t.same(sent, [1, 2])
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
        const newest = sizes.map((_, i) => i).slice(sizes.length - kept)
        return bounded && counted && JSON.stringify(sent) === JSON.stringify(newest)
      },
    ),
  )
})

t.test('a segment that is pushed out while it is on its way takes no other with it', async t => {
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
  t.same(sent, [1, 2, 3])
  t.equal(outbox.length, 0)
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
  t.same(sent, [2, 3, 4])
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
  t.same(sent, [5, 6])
})
