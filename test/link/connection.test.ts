import { once } from 'node:events'
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from 'node:net'
import { connectMqtt, PublishDropped, type Will } from '@kestrel/link'
import { type Log, silentLog, UserError } from '@kestrel/runtime'
import t from 'tap'
import { memoryBench, RealBroker, realBench } from './brokers.js'

const text = (payload: Uint8Array) => Buffer.from(payload).toString()
const bytes = (value: string) => new TextEncoder().encode(value)

/** Waits for a condition that messages on their way will make true. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
}

for (const [kind, start] of [
  ['a real broker', realBench],
  ['the broker in memory', memoryBench],
] as const) {
  t.test(`a connection to ${kind}`, async t => {
    t.test('delivers in order to every matching handler, later and not at once', async t => {
      const bench = await start()
      const [a, b] = [bench.connect('a'), bench.connect('b')]
      const first: string[] = []
      const second: string[] = []
      await b.subscribe('kestrel/v1/+/segment', (_, payload) => first.push(text(payload)))
      await b.subscribe('kestrel/v1/+/segment', (topic, payload) => second.push(`${topic} ${text(payload)}`))
      const sent = [0, 1, 2, 3, 4].map(i => a.publish('kestrel/v1/scout/segment', bytes(`${i}`), { qos: 1 }))
      t.same(first, [], 'nothing arrives inside the publishing turn')
      await Promise.all(sent)
      await a.publish('kestrel/v1/other/segment', bytes('last'), { qos: 1 })
      await until(() => second.some(line => line.endsWith('last')))
      t.same(first, ['0', '1', '2', '3', '4', 'last'])
      t.same(second, [
        ...[0, 1, 2, 3, 4].map(i => `kestrel/v1/scout/segment ${i}`),
        'kestrel/v1/other/segment last',
      ])
      t.throws(() => b.subscribe('kestrel/v1/scout/#', () => {}), RangeError, 'overlapping filters')
      await bench.stop()
    })

    t.test('hands over what is retained, the newest only, and forgets an empty one', async t => {
      const bench = await start()
      const a = bench.connect('a')
      await a.publish('kestrel/v1/scout/control', bytes('old'), { qos: 1, retain: true })
      await a.publish('kestrel/v1/scout/control', bytes('new'), { qos: 1, retain: true })
      await a.publish('kestrel/v1/scout/status', bytes('on'), { qos: 1, retain: true })
      await a.publish('kestrel/v1/scout/status', new Uint8Array(), { qos: 1, retain: true })
      const b = bench.connect('b')
      const got: string[] = []
      await b.subscribe('kestrel/v1/#', (topic, payload) => got.push(`${topic} ${text(payload)}`))
      await a.publish('kestrel/v1/end', bytes('end'), { qos: 1 })
      await until(() => got.length > 1)
      t.same(got, ['kestrel/v1/scout/control new', 'kestrel/v1/end end'])
      await bench.stop()
    })

    t.test('publishes the will of one that vanishes, and not of one that says goodbye', async t => {
      const bench = await start()
      const will = (topic: string): Will => ({ topic, payload: bytes('gone'), retain: true, qos: 1 })
      const watcher = bench.connect('watcher')
      const got: string[] = []
      await watcher.subscribe('status/+', topic => got.push(topic))
      const polite = bench.connect('polite', will('status/polite'))
      const lost = bench.connect('lost', will('status/lost'))
      await polite.publish('x', bytes('x'), { qos: 1 })
      await lost.publish('x', bytes('x'), { qos: 1 })
      await polite.close()
      bench.cut('lost')
      await until(() => got.length > 0)
      t.same(got, ['status/lost'])
      await bench.stop()
    })

    t.test('comes back: both sides get what QoS 1 promised, and filters hold', async t => {
      const bench = await start()
      const [a, b] = [bench.connect('a'), bench.connect('b')]
      const states: string[] = []
      b.onState(state => states.push(state))
      const got = new Set<string>()
      await b.subscribe('down/#', (_, payload) => got.add(text(payload)))
      const heard = new Set<string>()
      await a.subscribe('up/#', (_, payload) => heard.add(text(payload)))
      states.length = 0
      bench.cut('b')
      await until(() => !b.up)
      await a.publish('down/1', bytes('while away'), { qos: 1 })
      await b.publish('up/1', bytes('lost'), { qos: 0 })
      const queued = b.publish('up/1', bytes('queued'), { qos: 1 })
      bench.heal('b')
      await queued
      await until(() => b.up && got.size > 0 && heard.size > 0)
      await a.publish('down/1', bytes('after'), { qos: 1 })
      await until(() => got.size > 1)
      t.same([...got], ['while away', 'after'])
      t.same([...heard], ['queued'])
      t.same(states, ['down', 'up'])
      await bench.stop()
    })

    t.test(
      'drops what is not valid any more when its turn comes, and hears nothing after unsubscribing',
      async t => {
        const bench = await start()
        const [a, b] = [bench.connect('a'), bench.connect('b')]
        const got: string[] = []
        const hear = (_: string, payload: Uint8Array) => got.push(text(payload))
        await b.subscribe('x', hear)
        await b.subscribe('y', hear)
        await a.publish('x', bytes('before'), { qos: 1, isValid: () => true })
        await until(() => got.length > 0)
        bench.cut('a')
        await until(() => !a.up)
        let valid = true
        const stale = t.rejects(
          a.publish('x', bytes('stale'), { qos: 1, isValid: () => valid }),
          PublishDropped,
        )
        const fresh = a.publish('x', bytes('fresh'), { qos: 1 })
        valid = false
        bench.heal('a')
        await Promise.all([stale, fresh])
        await until(() => got.length > 1)
        b.unsubscribe('x')
        await a.publish('x', bytes('unheard'), { qos: 1 })
        await a.publish('y', bytes('heard'), { qos: 1 })
        await until(() => got.includes('heard'))
        t.same(got, ['before', 'fresh', 'heard'])
        await b.subscribe('x', hear)
        await a.publish('x', bytes('again'), { qos: 1 })
        await until(() => got.includes('again'))
        await bench.stop()
      },
    )

    t.test('survives handlers that throw or reject', async t => {
      const bench = await start()
      const a = bench.connect('a')
      const got: string[] = []
      a.subscribe('x', () => {
        throw new Error('a defect')
      })
      a.subscribe('x', (async () => {
        throw new Error('a defect')
      }) as () => void)
      await a.subscribe('x', (_, payload) => got.push(text(payload)))
      await a.publish('x', bytes('1'), { qos: 1 })
      await a.publish('x', bytes('2'), { qos: 1 })
      await until(() => got.length === 2)
      t.same(got, ['1', '2'])
      await bench.stop()
    })

    t.test(
      'replaces a waiting retained message, drops the oldest of too many, and lets go when closed',
      async t => {
        const bench = await start()
        const a = bench.connect('a')
        await a.publish('x', bytes('x'), { qos: 1 })
        bench.cut('a')
        await until(() => !a.up)
        let superseded = false
        a.publish('state', bytes('old'), { qos: 1, retain: true }).then(() => {
          superseded = true
        })
        const sends = [a.publish('state', bytes('new'), { qos: 1, retain: true })]
        for (let i = 0; i < 256; i++) sends.push(a.publish('many', bytes(`${i}`), { qos: 1 }))
        const outcomes = Promise.allSettled(sends)
        await a.close()
        const results = await outcomes
        t.ok(superseded)
        t.ok(results.every(({ status }) => status === 'rejected'))
        const errors = results.map(result => (result as PromiseRejectedResult).reason as Error)
        t.ok(errors.every(error => error instanceof PublishDropped))
        t.match(errors[0].message, /dropped: too many/)
        t.match(errors[1].message, /closed/)
        await t.rejects(a.publish('late', bytes('x'), { qos: 1 }), PublishDropped)
        await bench.stop()
      },
    )
  })
}

t.test('a broker that restarts with no memory finds its clients again', async t => {
  const broker = new RealBroker()
  await broker.start()
  const lines: string[] = []
  const log: Log = { ...silentLog, info: line => lines.push(line), warn: line => lines.push(line) }
  const connect = (clientId: string) =>
    connectMqtt({ url: `mqtt://127.0.0.1:${broker.port}`, clientId, log, retryMs: { min: 10, max: 20 } })
  const a = connect('a')
  const got: string[] = []
  await a.subscribe('x', (_, payload) => got.push(text(payload)))
  await broker.stop()
  await until(() => !a.up)
  const sent = a.publish('x', bytes('kept'), { qos: 1 })
  await new Promise(resolve => setTimeout(resolve, 200)) // many attempts
  await broker.start(broker.port)
  await sent
  await until(() => got.length > 0)
  t.same(got, ['kept'], 'subscribed again before it was sent')
  await a.close()
  await broker.stop()
  t.equal(lines.length, 4, `one line for each change of state or reason: ${lines.join(' / ')}`)
  t.match(lines[1], /Lost the broker/)
  t.match(lines[2], /Cannot reach the broker.*connection refused/)
})

t.test('a link that falls silent is noticed', async t => {
  const broker = new RealBroker()
  await broker.start()
  const sockets: Socket[] = []
  let frozen = false
  const radio = createServer(near => {
    const far = connectSocket(broker.port, '127.0.0.1')
    sockets.push(near, far)
    near.on('data', data => frozen || far.write(data)).on('error', () => {})
    far.on('data', data => frozen || near.write(data)).on('error', () => {})
  })
  radio.listen(0, '127.0.0.1')
  await once(radio, 'listening')
  const connection = connectMqtt({
    url: `mqtt://127.0.0.1:${(radio.address() as AddressInfo).port}`,
    clientId: 'a',
    log: silentLog,
    keepaliveS: 1,
    retryMs: { min: 10, max: 20 },
  })
  const states: string[] = []
  connection.onState((state, detail) => states.push(`${state}: ${detail}`))
  await connection.subscribe('x', () => {})
  frozen = true
  const lost = connection.publish('x', bytes('x'), { qos: 1 })
  await until(() => !connection.up)
  frozen = false
  await lost
  t.same(states.slice(0, 3), [
    'up: undefined',
    'down: the link is dead (no answer to pings)',
    'up: undefined',
  ])
  await connection.close()
  for (const socket of sockets) socket.destroy()
  radio.close()
  await broker.stop()
})

t.test('an unreachable broker is one line, however often it is tried', async t => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  const lines: string[] = []
  const log: Log = { ...silentLog, warn: line => lines.push(line) }
  const connection = connectMqtt({
    url: `mqtt://127.0.0.1:${port}`,
    auth: { user: 'someone', secret: 'secret' },
    clientId: 'a-name-of-more-than-23-characters',
    log,
    retryMs: { min: 5, max: 10 },
  })
  const subscribed = connection.subscribe('x', () => {})
  await new Promise(resolve => setTimeout(resolve, 200))
  t.equal(lines.length, 1)
  t.match(lines[0], /Cannot reach the broker at 127\.0\.0\.1:\d+: nothing listens there/)
  t.notMatch(lines[0], /secret/)
  const rejected = t.rejects(subscribed, /closed/)
  await connection.close()
  await rejected
})

t.test('an address that is none', async t => {
  for (const url of ['broker', 'http://broker', '']) {
    t.throws(() => connectMqtt({ url, clientId: 'a', log: silentLog }), UserError, url)
  }
})
