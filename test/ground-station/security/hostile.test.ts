import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import {
  type BrokerAuth,
  type Credentials,
  decodeEnvelope,
  delivery,
  encodeEnvelope,
  everyDrone,
  groundKeyOf,
  mostBytes,
  signEnvelope,
  topic,
  verifyEnvelope,
  type What,
} from '@kestrel/link'
import { createRng, RealClock } from '@kestrel/runtime'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import t, { type Test } from 'tap'
import { RealBroker } from '../../link/brokers.js'
import { observeChain } from '../../support/chain-observer.js'
import { hostileMessages, payloadFields } from '../../support/hostile-messages.js'
import { type PairedFlight, startPairedFlight } from '../../support/paired-flight.js'
import { freePort } from '../../support/processes.js'

t.setTimeout(900_000)

const clock = new RealClock()
const whats = Object.keys(delivery) as What[]

function checkSecrets(t: Test, { log, secrets }: PairedFlight): void {
  const text = log.lines.join('\n')
  t.ok(text.length > 1000, 'there is a log')
  for (const [i, secret] of secrets.entries()) t.notOk(text.includes(secret), `secret ${i} is not in the log`)
}

t.test('at the embedded broker: strangers, and a drone that goes for another', async t => {
  const port = await freePort()
  const flight = await startPairedFlight(t, { listen: { port, pairing: 'required' } })
  const { drone, credentials, others, ground, log } = flight
  await flight.learns(1)

  const outcomes: string[] = []
  let own: MqttClient | undefined
  /** Connects, does something, and waits for what comes of it: being refused, cut off, or left alone. */
  async function attempt(
    what: string,
    options: { auth?: Partial<BrokerAuth>; clientId?: string; url?: string; will?: IClientOptions['will'] },
    act: (client: MqttClient) => unknown = () => {},
  ): Promise<string> {
    const { auth, clientId = 'kestrel-scout-2', url = credentials.broker, will } = options
    const client = mqtt.connect(url, {
      clientId,
      username: auth?.user,
      password: auth?.secret,
      ca: credentials.ca,
      servername: credentials.serverName,
      reconnectPeriod: 0,
      connectTimeout: 30_000,
      protocolVersion: 4,
      will,
    })
    const outcome = await new Promise<string>(resolve => {
      const late = setTimeout(() => resolve('stays'), 30_000)
      const settle = (how: string) => {
        clearTimeout(late)
        resolve(how)
      }
      // A number is CONNACK's; what is cut off while it writes sees the connection reset.
      client.on('error', error => {
        const { code } = error as { code?: number | string }
        settle(typeof code === 'number' ? `refused ${code}` : 'cut off')
      })
      client.on('close', () => settle('cut off'))
      client.on('connect', async () => {
        if ((await act(client)) === 'done') settle('stays')
      })
    })
    client.end(true)
    outcomes.push(`${what}: ${outcome}`)
    return outcome
  }

  t.equal(await attempt('anonymous', {}), 'refused 5')
  const plain = `mqtt://127.0.0.1:${port}`
  t.equal(await attempt('anonymous, without TLS', { url: plain }), 'refused 5')
  t.equal(await attempt('right secret without TLS', { url: plain, auth: credentials }), 'refused 5')
  t.equal(await attempt('wrong secret', { auth: { user: drone, secret: others.secret } }), 'refused 4')
  t.equal(await attempt('no such drone', { auth: { user: 'constructor', secret: 'x' } }), 'refused 4')
  t.equal(
    await attempt('as the ground', {
      auth: { user: 'kestrel/ground', secret: 'x' },
      clientId: 'kestrel/ground',
    }),
    'refused 4',
  )
  t.equal(await attempt("another's session", { auth: others, clientId: `kestrel-${drone}` }), 'refused 2')
  t.equal(await attempt("the ground's session", { auth: others, clientId: 'kestrel/ground' }), 'refused 2')

  // With credentials of its own, at every topic of the other, and at the ground's end of its own.
  const heard: string[] = []
  const filters = [
    ...whats.map(what => topic(drone, what)),
    '#',
    '+/#',
    `kestrel/v1/${drone}/+`,
    ...whats.map(everyDrone),
    '$SYS/#',
  ]
  await attempt('listens', { auth: others }, async client => {
    client.on('message', name => heard.push(name))
    // Denied ones beside one that is allowed: stored with it, they must bring nothing later either.
    const mixed = ['update', 'control'].map(what => topic(drone, what as What))
    const asked = [...filters.map(filter => [filter]), [topic('scout-2', 'update'), ...mixed]]
    const answers = asked.map(topics => client.subscribeAsync(topics, { qos: 1 }).catch(() => undefined))
    await Promise.all(answers)
    await flight.learns(1)
    return 'done'
  })
  const rng = createRng('hostile')
  for (const what of whats) {
    const message = Buffer.from(hostileMessages(what, rng, 1)[0])
    for (const name of [
      topic(drone, what),
      ...(delivery[what].from === 'ground' ? [topic('scout-2', what)] : []),
    ]) {
      const outcome = await attempt(`publishes to ${name}`, { auth: others }, client =>
        client.publish(name, message, { qos: 1 }),
      )
      t.equal(outcome, 'cut off', name)
    }
  }
  await attempt(
    'a last will for the other',
    {
      auth: others,
      will: { topic: topic(drone, 'status'), payload: Buffer.from('x'), qos: 1, retain: true },
    },
    client => client.stream.destroy(),
  )
  t.equal(
    await attempt('a packet too big', { auth: others }, client =>
      client.publish(topic('scout-2', 'segment'), Buffer.alloc(17 * 1024 * 1024), { qos: 0 }),
    ),
    'cut off',
  )

  // What may go to its own topics is no use either, and harms nobody.
  for (const what of whats.filter(what => delivery[what].from === 'drone')) {
    for (const message of hostileMessages(what, rng, 6)) {
      if (message.length > mostBytes(what)) {
        const outcome = await attempt(`too big a ${what}`, { auth: others }, client =>
          client.publish(topic('scout-2', what), Buffer.from(message), { qos: 0 }),
        )
        t.equal(outcome, 'cut off', `too big a ${what}`)
        continue
      }
      own ??= reconnecting(others)
      await own.publishAsync(topic('scout-2', what), Buffer.from(message), { qos: 1 })
    }
  }

  // Bytes that are no MQTT, and headers that claim what never comes.
  const garbage = [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]),
    Buffer.alloc(100, 0xff),
  ]
  for (const bytes of garbage) {
    const raw = connectTcp(port, '127.0.0.1')
    raw.on('error', () => {}).end(bytes)
    raw.resume()
    const secure = connectTls({
      port,
      host: '127.0.0.1',
      ca: credentials.ca,
      servername: credentials.serverName,
    })
    secure.on('error', () => {}).on('secureConnect', () => secure.write(bytes))
    secure.resume()
    await Promise.all([once(raw, 'close'), Promise.race([once(secure, 'close'), clock.sleep(2000)])])
    secure.destroy()
  }
  own?.end(true)

  await flight.learns(2)
  t.same(
    heard.filter(name => !name.startsWith('kestrel/v1/scout-2/')),
    [],
    'nothing of the other was heard',
  )
  const { refused } = ground
  t.comment(`${outcomes.length} attempts; counted: ${JSON.stringify(refused)}`)
  for (const kind of ['log-in', 'client-id', 'subscribe', 'publish', 'too-big', 'protocol', 'malformed']) {
    t.ok(refused[kind] > 0, `${kind} was counted`)
    t.ok(
      log.lines.some(line => line.includes(`(${kind}: `)),
      `${kind} was logged`,
    )
  }
  t.ok(log.lines.length < 2000, 'the log was not flooded')
  t.same((await flight.status()).link.refused, {}, 'the drone saw nothing of it')
  checkSecrets(t, flight)

  function reconnecting({ user, secret, ca, serverName }: Credentials): MqttClient {
    const client = mqtt.connect(credentials.broker, {
      clientId: 'kestrel-scout-2/check',
      username: user,
      password: secret,
      ca,
      servername: serverName,
      protocolVersion: 4,
      reconnectPeriod: 50,
    })
    client.on('error', () => {})
    return client
  }
})

t.test('a broker that belongs to somebody else: old, forged and crossed orders are not obeyed', async t => {
  const broker = new RealBroker()
  await broker.start()
  t.teardown(() => broker.stop())
  const url = `mqtt://127.0.0.1:${broker.port}`
  const flight = await startPairedFlight(t, { broker: url })
  const { drone } = flight
  const key = groundKeyOf(flight.credentials)
  const chain = observeChain(url, {
    isGenuine: (name, bytes) => {
      if (!name.endsWith('/update')) return true
      try {
        verifyEnvelope(bytes, decodeEnvelope(bytes), { topic: name, key })
        return true
      } catch {
        return false
      }
    },
  })
  t.teardown(() => chain.close())
  const attacker = mqtt.connect(url, { clientId: 'attacker', protocolVersion: 4 })
  t.teardown(() => attacker.end(true))
  const recorded: { what: 'update' | 'control'; bytes: Buffer }[] = []
  for (const what of ['update', 'control'] as const)
    await attacker.subscribeAsync(topic(drone, what), { qos: 1 })
  attacker.on('message', (name, bytes) =>
    recorded.push({ what: name.endsWith('update') ? 'update' : 'control', bytes }),
  )
  await flight.learns(3)
  const orders = recorded.splice(0)
  t.ok(
    orders.filter(({ what }) => what === 'update').length >= 3 &&
      orders.some(({ what }) => what === 'control'),
  )
  const before = (await flight.status()).model.version

  const send = (what: What, bytes: Uint8Array) =>
    attacker.publishAsync(topic(drone, what), Buffer.from(bytes), { qos: 1 })
  const stranger = generateKeyPairSync('ed25519').privateKey
  // Schema, two bytes; then tag and length of the id.
  const newId = (bytes: Uint8Array) =>
    Buffer.concat([bytes.subarray(0, 4), randomBytes(16), bytes.subarray(20)])
  let sent = 0
  for (const { what, bytes } of orders) {
    const { payload } = decodeEnvelope(bytes)
    const unsigned = encodeEnvelope(payload, { clock })
    const resigned = signEnvelope(unsigned, { topic: topic(drone, what), counter: 1n << 60n, key: stranger })
    for (const forged of [unsigned, resigned]) {
      await send(what, forged)
      sent++
    }
    // Replayed under another id, so that it is not merely a repeat; and on the topic of the other kind.
    await send(what, newId(bytes))
    await send(what === 'update' ? 'control' : 'update', newId(bytes))
    sent += 2
  }
  const rng = createRng('orders')
  for (const what of whats.filter(what => delivery[what].from === 'ground')) {
    for (const message of hostileMessages(what, rng, 15)) {
      await send(what, message)
      sent++
    }
  }
  const kinds = ['signature', 'replay', 'malformed', 'too-big']
  let { link } = await flight.status()
  for (let i = 0; i < 100 && !kinds.every(kind => link.refused[kind] > 0); i++) {
    await clock.sleep(200)
    link = (await flight.status()).link
  }
  t.comment(`${sent} orders of ${payloadFields.length} kinds; counted: ${JSON.stringify(link.refused)}`)
  for (const kind of kinds) {
    t.ok(link.refused[kind] > 0, `${kind} was counted`)
    t.ok(
      flight.log.lines.some(line => line.includes(`(${kind}: `)),
      `${kind} was logged`,
    )
  }
  await flight.learns(2)
  const after = await flight.status()
  t.ok(after.model.version > before, 'the ground goes on teaching')
  t.same(chain.faults, [], 'nothing but what the ground issued flew')
  t.ok(after.uplink.samplingFps > 0)
  t.ok(
    chain.refused.includes('signature'),
    'the ground is told, so that it can say that a drone has to be paired again',
  )
  checkSecrets(t, flight)
})
