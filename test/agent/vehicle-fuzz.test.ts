import { Vehicle } from '@kestrel/agent'
import { type Exchange, type Line, Signing } from '@kestrel/link/mavlink'
import { createRng, silentLog, VirtualClock } from '@kestrel/runtime'
import { HostileLine } from '@kestrel/simulator'
import { test } from 'tap'
import { autopilot1, controls, startMs } from './vehicle-world.js'

const key = Buffer.alloc(32, 'k')
/** The whole million: npm run bench -- mavlink-fuzz. */
const PACKETS = 40_000

/** A vehicle link that hears bytes and speaks to nobody. */
async function listener(signing?: Signing) {
  const clock = new VirtualClock(startMs)
  let exchange: Exchange | undefined
  let sent = 0
  const line: Line = { write: () => void sent++ }
  const transport = {
    start: async (own: Exchange) => {
      exchange = own
      own.opened(line, 'fuzz')
    },
    stop: async () => {},
  }
  const vehicle = new Vehicle({
    transport,
    signing,
    system: autopilot1.system,
    rates: new Map([[30, 20]]),
    controls: controls().all,
    camera: { width: 640, height: 360, model: 'fuzz' },
    reportMs: 1000,
    clock,
    log: silentLog,
  })
  await vehicle.start()
  return { vehicle, clock, hear: (bytes: Uint8Array) => exchange!.received(line, bytes), sent: () => sent }
}

test('With a key: of everything on the line exactly the good packets are taken, however the bytes are cut', async t => {
  const clock = new VirtualClock(startMs)
  const store = { load: () => undefined, save() {} }
  const signing = new Signing({ key, linkId: 2, clock, store })
  const { vehicle, hear, clock: own } = await listener(signing)
  const rng = createRng('cuts')
  const hostile = new HostileLine({ key, clock, seed: 1 })
  let pending = Buffer.alloc(0)
  for (let i = 0; i < PACKETS; i++) {
    pending = Buffer.concat([pending, hostile.next().bytes])
    while (pending.length > 600) {
      const cut = 1 + rng.int(600)
      hear(pending.subarray(0, cut))
      pending = pending.subarray(cut)
    }
    if (i % 1000 === 0) await own.advanceTo(startMs + i)
  }
  hear(pending)
  // What looks like the beginning of a frame is waited for: let it end.
  hear(Buffer.alloc(300))
  const { counts } = hostile
  t.equal(vehicle.counts.messages, counts.valid + counts['any content'])
  t.ok(Object.values(counts).every(count => count > PACKETS / 40))
  t.ok(signing.refused.replayed >= counts.replayed, `${signing.refused.replayed} replayed`)
  t.ok(signing.refused.wrongSignature >= counts['wrong signature'])
  t.ok(signing.refused.unsigned >= counts.unsigned)
  t.equal(vehicle.counts.failed, 0, 'no message made a handler fail')
  await vehicle.stop()
})

test('Without a key anything may be believed, and nothing crashes', async t => {
  const { vehicle, hear, sent, clock } = await listener()
  const hostile = new HostileLine({ key, clock, seed: 2 })
  for (let i = 0; i < PACKETS; i++) {
    hear(hostile.next().bytes)
    if (i % 1000 === 0) await clock.advanceTo(startMs + i)
  }
  hear(Buffer.alloc(300))
  const { counts } = hostile
  t.ok(vehicle.counts.messages >= counts.valid + counts['any content'] + counts.replayed)
  t.equal(vehicle.counts.failed, 0)
  t.ok(sent() < PACKETS, `${sent()} answers`)
  await vehicle.stop()
})
