import { createAuthority, issueCertificate, startBroker } from '@kestrel/ground-station'
import { connectMqtt } from '@kestrel/link'
import { silentLog } from '@kestrel/runtime'
import t from 'tap'

t.test('messages, and retained ones for those who come later', async t => {
  const broker = await startBroker({ host: '127.0.0.1', port: 0, log: silentLog })
  const connect = (clientId: string) => connectMqtt({ url: broker.url, clientId, log: silentLog })
  // Longer than the 23 characters that MQTT 3.1 allowed.
  const first = connect('kestrel-a-drone-with-a-rather-long-name')
  await first.publish('kestrel/v1/a/control', Uint8Array.of(1, 2), { qos: 1, retain: true })
  const second = connect('second')
  const received = new Promise<Uint8Array>(resolve => {
    second.subscribe('kestrel/v1/+/control', (_, payload) => resolve(payload)).catch(() => {})
  })
  t.same(Array.from(await received), [1, 2])
  await first.close()
  await second.close()
  await broker.close()
})

t.test('addresses that cannot be listened on', async t => {
  const certificate = await issueCertificate(await createAuthority('test'), ['kestrel-ground'])
  const broker = await startBroker({ host: '127.0.0.1', port: 0, log: silentLog })
  const { port } = broker
  await t.rejects(startBroker({ host: '127.0.0.1', port, log: silentLog }), {
    name: 'UserError',
    message: new RegExp(`Port ${port} on 127.0.0.1 is in use.*listen.port.*broker: mqtt`),
  })
  await t.rejects(startBroker({ host: '203.0.113.9', port: 0, log: silentLog, certificate }), {
    name: 'UserError',
    message: /203\.0\.113\.9 is no address of this machine/,
  })
  await broker.close()
  const again = await startBroker({ host: '127.0.0.1', port, log: silentLog })
  await again.close()
  t.pass('a closed broker frees its port')
})

t.test('closing does not wait for clients that stay', async t => {
  const broker = await startBroker({ host: '127.0.0.1', port: 0, log: silentLog })
  const client = connectMqtt({ url: broker.url, clientId: 'a', log: silentLog })
  await client.subscribe('#', () => {})
  await broker.close()
  await client.close()
  t.pass('closed')
})

t.test('other machines never reach a broker that asks for nothing', async t => {
  await t.rejects(startBroker({ host: '0.0.0.0', port: 0, log: silentLog }), /Only this machine/)
})
