import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type KeyValue, NatsLeases, NatsStore } from '@kestrel/ground-station'
import t from 'tap'
import { needsNats, startNats } from '../../support/nats.js'
import { waitFor } from '../../support/processes.js'

t.test('leases and sessions on a real server', needsNats, async t => {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-nats-'))
  const { server, url } = await startNats(t, dir)
  const config = { name: 'one', servers: [url], ttlS: 8, replicas: 1 }
  const [leases, others] = [new NatsLeases(config), new NatsLeases({ ...config, name: 'two' })]
  const [store, reader] = [new NatsStore(config), new NatsStore(config)]
  t.teardown(async () => {
    for (const each of [leases, others, store, reader]) await each.close()
    await server.kill()
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  const seen: [string, KeyValue][] = []
  const present = new Map<string, number>()
  others.watch({
    change: (key, entry) => void seen.push([key, entry]),
    announced: (process, drones) => void present.set(process, drones),
  })

  t.same(await leases.read('drone.a'), { value: undefined, revision: 0 })
  const first = await leases.write('drone.a', 'one', 0)
  t.ok(first)
  t.equal(await others.write('drone.a', 'two', 0), undefined, 'it is there by now')
  const second = await others.write('drone.a', 'two', first!)
  t.ok(second! > first!, 'revisions grow')
  t.equal(await leases.write('drone.a', 'one', first!), undefined, 'it was changed meanwhile')
  t.same(await leases.read('drone.a'), { value: 'two', revision: second })
  await leases.announce('one.1', 3)
  await waitFor('what is watched', () => seen.length > 0 && present.size > 0, { timeoutS: 20 })
  t.same(seen.at(-1), ['drone.a', { value: 'two', revision: second }])
  t.same([...present], [['one.1', 3]])

  const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill)
  // tap takes seconds to compare as many bytes.
  const isSecond = (data?: Uint8Array) => data !== undefined && Buffer.compare(data, bytes(500_000, 2)) === 0
  t.equal(await store.get('a.session'), undefined)
  await store.put('a.session', bytes(3_000_000, 1))
  await store.put('a.session', bytes(500_000, 2))
  t.ok(isSecond(await reader.get('a.session')), 'the newest, whole')
  for (const name of ['a.frames/2', 'a.frames/1', 'ab.frames/1']) await store.put(name, bytes(10, 3))
  t.same(await reader.list('a.frames/'), ['a.frames/1', 'a.frames/2'])
  await store.remove('a.frames/2')
  await store.remove('never')
  t.same(await reader.list('a.frames/'), ['a.frames/1'])
  t.equal(await reader.get('a.frames/2'), undefined)

  await server.kill()
  await t.rejects(leases.write('drone.a', 'one', second!), 'nobody answers: unknown whether it was done')
  await server.start()
  const written = await waitForAnswer(() => leases.write('drone.a', 'one', second!))
  t.ok(written! > second!, 'what was there is there after it was killed')
  t.ok(isSecond(await reader.get('a.session')))
  const told = () => seen.some(([, { revision }]) => revision === written) || undefined
  await waitFor('changes are told again', told, { timeoutS: 30 })
})

/** Until the connection is back. */
async function waitForAnswer<T>(ask: () => Promise<T>): Promise<T> {
  for (let i = 0; ; i++) {
    try {
      return await ask()
    } catch (error) {
      if (i > 20) throw error
      await new Promise(resolve => setTimeout(resolve, 500))
    }
  }
}
