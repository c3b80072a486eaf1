import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { FaultProxy, type Weather } from '../support/fault-proxy.js'

/** A server that gives back what it gets, and a proxy before it. */
async function setUp(t: Test, weather: Weather = {}) {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = new FaultProxy({ targetPort: (server.address() as AddressInfo).port, seed: 1 })
  await proxy.start()
  proxy.set(weather)
  const sockets: Socket[] = []
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await proxy.stop()
    server.close()
  })
  const open = async () => {
    const socket = connect(proxy.port, '127.0.0.1')
    sockets.push(socket)
    await once(socket, 'connect')
    return socket
  }
  return { proxy, open }
}

async function echo(socket: Socket, bytes: Buffer): Promise<{ same: boolean; ms: number }> {
  const beganMs = performance.now()
  const chunks: Buffer[] = []
  let count = 0
  const done = new Promise<void>(resolve => {
    socket.on('data', chunk => {
      chunks.push(chunk)
      count += chunk.length
      if (count >= bytes.length) resolve()
    })
  })
  socket.write(bytes)
  await done
  socket.removeAllListeners('data')
  return { same: Buffer.concat(chunks).equals(bytes), ms: performance.now() - beganMs }
}

const bytes = (count: number) => Buffer.from(Array.from({ length: count }, (_, i) => (i * 31) & 255))

t.test('in fair weather every byte passes, in order', async t => {
  const { open } = await setUp(t)
  t.ok((await echo(await open(), bytes(300_000))).same)
})

t.test('a slow way is as slow as it says, and loses nothing', async t => {
  const { open } = await setUp(t, { kbps: 320, delayMs: 200 })
  const { same, ms } = await echo(await open(), bytes(20_000))
  t.ok(same)
  // 20,000 bytes at 40,000 bytes/s, there and back at the same time, and 0.2 s each way.
  t.ok(ms > 850, `${ms} ms`)
  t.ok(ms < 5000, `${ms} ms`)
})

t.test('loss shows as stalls', async t => {
  const { open } = await setUp(t, { loss: 0.3 })
  const { same, ms } = await echo(await open(), bytes(8000))
  t.ok(same)
  t.ok(ms > 300, `${ms} ms`)
})

t.test('half-open: nothing comes, nobody is told; then what was under way arrives', async t => {
  const { proxy, open } = await setUp(t)
  const socket = await open()
  await echo(socket, bytes(10))
  proxy.set({ silent: true })
  let ended = false
  socket.on('close', () => {
    ended = true
  })
  const answer = echo(socket, bytes(100))
  const winner = await Promise.race([
    answer,
    new Promise(resolve => setTimeout(() => resolve('silence'), 300)),
  ])
  t.equal(winner, 'silence')
  t.notOk(ended)
  proxy.set({})
  t.ok((await answer).same)
})

t.test('down: connections are reset, and new ones too', async t => {
  const { proxy, open } = await setUp(t)
  const socket = await open()
  const closed = once(socket, 'close')
  socket.on('error', () => {})
  proxy.set({ down: true })
  await closed
  const again = await open()
  again.on('error', () => {})
  if (!again.destroyed) await once(again, 'close')
  proxy.set({})
  t.ok((await echo(await open(), bytes(100))).same)
})
