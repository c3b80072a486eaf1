import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Access, DroneRegistry, openIdentity, PacketGuard } from '@kestrel/ground-station'
import { delivery, topic, type What } from '@kestrel/link'
import fc from 'fast-check'
import { generate, type Packet } from 'mqtt-packet'
import t from 'tap'

function guard(limits: { packetBytes?: number; packets?: number; packetsPerS?: number }) {
  const refused: string[] = []
  let nowMs = 0
  const guard = new PacketGuard(
    { packetBytes: 1e6, packets: 1e6, packetsPerS: 1, ...limits },
    { onRefused: kind => refused.push(kind), nowMs: () => nowMs },
  )
  return { guard, refused, wait: (ms: number) => void (nowMs += ms) }
}

const publish = (bytes: number): Packet => ({
  cmd: 'publish',
  topic: 'a',
  payload: Buffer.alloc(bytes),
  qos: 0,
  dup: false,
  retain: false,
})

t.test('it counts the packets that the MQTT library writes, however they are cut', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(0, 1, 100, 127, 128, 16_380, 16_384, 70_000), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 40_000 }),
      (sizes, cut) => {
        const bytes = Buffer.concat([
          ...sizes.map(size => generate(publish(size))),
          generate({ cmd: 'pingreq' }),
        ])
        const fits = guard({ packets: sizes.length + 1 })
        const tooMany = guard({ packets: sizes.length })
        let full = false
        for (let at = 0; at < bytes.length; at += cut) {
          const chunk = bytes.subarray(at, at + cut)
          if (!fits.guard.see(chunk)) return false
          full ||= !tooMany.guard.see(chunk)
        }
        return full && fits.refused.length === 0 && tooMany.refused[0] === 'rate'
      },
    ),
    { numRuns: 300, seed: 3 },
  )
  t.pass('all')
})

t.test('so many at once, so many a second; whoever is trusted sends as many as it likes', async t => {
  const packet = generate(publish(10))
  const { guard: strict, refused, wait } = guard({ packets: 5, packetsPerS: 2 })
  for (let i = 0; i < 5; i++) t.ok(strict.see(packet), 'all at one moment')
  wait(500)
  t.ok(strict.see(packet), 'half a second is one more')
  t.notOk(strict.see(packet))
  t.same(refused, ['rate'])

  const none = Number.POSITIVE_INFINITY
  const { guard: trusted, refused: never } = guard({ packets: none, packetsPerS: none })
  const burst = Buffer.concat(Array.from({ length: 1000 }, () => packet))
  t.ok(trusted.see(burst), 'a thousand at one moment')
  t.ok(trusted.see(burst))
  t.same(never, [])
})

t.test('a packet that claims too much is refused by its header alone', async t => {
  const { guard: small, refused } = guard({ packetBytes: 1000 })
  t.ok(small.see(generate(publish(990))))
  t.ok(small.see(Uint8Array.of(0x30, 0xff)), 'the length is not complete yet')
  t.notOk(small.see(Uint8Array.of(0xff, 0xff, 0x7f)), '256 MB')
  t.same(refused, ['too-big'])
  const after = guard({ packets: 3, packetsPerS: 2 })
  const ping = generate({ cmd: 'pingreq' })
  for (let i = 0; i < 3; i++) t.ok(after.guard.see(ping))
  after.wait(500)
  t.ok(after.guard.see(ping), 'half a second later another one')
  t.notOk(after.guard.see(ping))
})

t.test('who may do what: every topic, every other drone, every wildcard', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-access-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const registry = new DroneRegistry(await openIdentity(join(folder, 'identity')))
  const secret = Buffer.from(registry.add('a', 0))
  registry.add('a-check', 0)
  const access = new Access({ registry, open: false })
  const drone = access.identify('kestrel-a', 'a', secret)
  t.match(drone, { kind: 'drone', drone: 'a' })
  if ('returnCode' in drone) return
  for (const [what, { from, retain }] of Object.entries(delivery)) {
    const own = topic('a', what as What)
    const mine = from === 'drone'
    t.equal(access.mayPublish(drone, own, false), mine, `publish ${what}`)
    t.equal(access.mayPublish(drone, own, true), mine && retain, `retain ${what}`)
    t.equal(access.maySubscribe(drone, own), !mine, `listen to ${what}`)
    t.equal(access.mayReceive(drone, own), !mine)
    const theirs = topic('a-check', what as What)
    t.notOk(access.mayPublish(drone, theirs, false) || access.maySubscribe(drone, theirs), theirs)
  }
  for (const filter of [
    '#',
    '+',
    '+/#',
    'kestrel/#',
    'kestrel/v1/a/#',
    'kestrel/v1/a/+',
    'kestrel/v1/+/update',
    '$SYS/#',
    '',
  ]) {
    t.notOk(access.maySubscribe(drone, filter), filter)
    t.notOk(access.mayPublish(drone, filter, false), filter)
  }
  const denied = (id: string, user?: string, password?: Buffer) => access.identify(id, user, password)
  t.match(denied('kestrel-a'), { kind: 'log-in', returnCode: 5 }, 'nobody without credentials')
  t.match(denied('kestrel-a', 'a'), { returnCode: 4 })
  t.match(denied('kestrel-a', 'a', Buffer.from('x')), { returnCode: 4 })
  t.match(denied('kestrel-a-check', 'a', secret), { kind: 'client-id' }, "another drone's session")
  t.match(denied('kestrel-a/other', 'a', secret), { kind: 'client-id' }, 'sessions without number')
  t.match(denied('kestrel/ground', 'a', secret), { kind: 'client-id' }, "the ground's session")
  t.match(denied('kestrel/ground', 'kestrel/ground', secret), { kind: 'log-in' })
  t.match(denied('kestrel-a/check', 'a', secret), { drone: 'a' }, 'one of its own beside it')
  t.notOk(access.mayPublish(undefined, topic('a', 'status'), false))
  t.ok(access.isCurrent(drone))
  registry.add('a', 0)
  t.notOk(access.isCurrent(drone), 'paired anew')
})

t.test(
  'the access list for Mosquitto in the documentation is the one that the embedded broker keeps',
  async t => {
    const text = readFileSync(join(import.meta.dirname, '../../../../docs/pairing.md'), 'utf8')
    const listed = [...text.matchAll(/^pattern (write|read) (.*)$/gm)].map(
      ([, way, name]) => `${way} ${name}`,
    )
    const kept = Object.entries(delivery).map(([what, { from }]) => {
      return `${from === 'drone' ? 'write' : 'read'} ${topic('x', what as What).replace('/x/', '/%u/')}`
    })
    t.same(listed.sort(), kept.sort())
  },
)
