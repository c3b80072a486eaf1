import { startBroker } from '@kestrel/ground-station'
import { connectMqtt } from '@kestrel/link'
import { RealClock, silentLog } from '@kestrel/runtime'
import t, { type Test } from 'tap'
import { FaultProxy } from '../support/fault-proxy.js'
import { waitFor } from '../support/processes.js'

/**
 * A link of 32 kbit/s with a round trip of 2 s, made shorter: it is 4 times as fast, and all times (10 s between pings) are a tenth or less.
 * What matters stays: a message takes several times as long as a silent link may stay silent.
 */
const WEATHER = { kbps: 128, delayMs: 200 }
const KEEPALIVE_S = 1
/** 4 s on the way. */
const BYTES = 60_000

async function setUp(t: Test) {
  const broker = await startBroker({ host: '127.0.0.1', port: 0, log: silentLog, clock: new RealClock() })
  const proxy = new FaultProxy({ targetPort: broker.port, seed: 1 })
  await proxy.start()
  proxy.set(WEATHER)
  const retryMs = { min: 10, max: 50 }
  const near = connectMqtt({ url: broker.url, clientId: 'near', log: silentLog, retryMs })
  const far = connectMqtt({
    ...{ url: `mqtt://127.0.0.1:${proxy.port}`, clientId: 'far', log: silentLog, retryMs },
    keepaliveS: KEEPALIVE_S,
  })
  const losses: string[] = []
  far.onState((state, why) => void (state === 'down' && losses.push(String(why))))
  t.teardown(async () => {
    await far.close()
    await near.close()
    await proxy.stop()
    await broker.close()
  })
  return { proxy, near, far, losses }
}

const message = (fill: number) => new Uint8Array(BYTES).fill(fill)

t.test('what comes down takes longer than a link may be silent, and comes', async t => {
  const { near, far, losses } = await setUp(t)
  const got: number[] = []
  await far.subscribe('down', (_, { length, 0: fill }) => length === BYTES && got.push(fill))
  for (const fill of [1, 2]) void near.publish('down', message(fill), { qos: 1 })
  await waitFor('both', () => got.length >= 2, { timeoutS: 40 })
  t.same(got, [1, 2])
  t.same(losses, [], 'the link was never given up')
})

t.test('what goes up takes longer than a link may be silent, and arrives', async t => {
  const { near, far, losses } = await setUp(t)
  const got: number[] = []
  await near.subscribe('up', (_, { length, 0: fill }) => length === BYTES && got.push(fill))
  await Promise.all([1, 2].map(fill => far.publish('up', message(fill), { qos: 1 })))
  t.same(got, [1, 2])
  t.same(losses, [])
})

t.test('a link that dies in the middle of a message is noticed all the same', async t => {
  const { proxy, far, losses } = await setUp(t)
  await far.subscribe('down', () => {})
  const sent = far.publish('up', message(1), { qos: 1 })
  await new Promise(resolve => setTimeout(resolve, 1000))
  proxy.set({ silent: true })
  await waitFor('the loss', () => losses[0], { timeoutS: 30 })
  t.same(losses, ['the link is dead (no answer to pings)'])
  proxy.set({})
  await sent
})
