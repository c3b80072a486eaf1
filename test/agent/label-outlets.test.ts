import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { encodeHello, LabelSocket, LabelWebSocket, Reader, Readers } from '@kestrel/agent'
import { silentLog } from '@kestrel/runtime'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { type ReadMessage, readLabelSocket, readMessage } from '../support/label-reader.js'
import { waitFor } from '../support/processes.js'
import { folderOf, hello, joined, map, message, openSocket, tick } from './label-feed.js'

t.setTimeout(300_000)

t.test('a reader has one message on its way and the newest waiting, whatever it does', async () => {
  const step = fc.constantFrom('offer', 'offer', 'sent', 'ask')
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const out: number[] = []
      let sent: (() => void) | undefined
      const reader = new Reader({
        send(bytes, done) {
          if (sent !== undefined) throw new Error('two on their way')
          out.push(bytes[0])
          sent = done
        },
      })
      let offered = 0
      let asks = 0
      for (const what of steps) {
        const before = out.length
        if (what === 'offer') reader.offer(Uint8Array.of(++offered))
        if (what === 'ask') {
          reader.ask()
          asks++
        }
        if (what === 'sent') {
          const done = sent
          sent = undefined
          done?.()
        }
        if (out.length > before && out.at(-1) !== offered) throw new Error('not the newest')
        if (asks === 0 && sent === undefined && offered > 0 && out.at(-1) !== offered)
          throw new Error('it could have had the newest')
      }
      if (out.some((frame, i) => i > 0 && frame <= out[i - 1])) throw new Error('out of order, or twice')
      const waiting = offered > 0 && out.at(-1) !== offered ? 1 : 0
      if (reader.sent !== out.length || reader.sent + reader.dropped + waiting !== offered)
        throw new Error(`${reader.sent} sent, ${reader.dropped} dropped, ${waiting} waiting of ${offered}`)
    }),
    { numRuns: 1000 },
  )
})

t.test('once a reader asks, it is sent one frame for each time that it does', async t => {
  const out: number[] = []
  const reader = new Reader({
    send(bytes, done) {
      out.push(bytes[0])
      done()
    },
  })
  const offer = (...frames: number[]) => {
    for (const frame of frames) reader.offer(Uint8Array.of(frame))
  }
  offer(1, 2)
  reader.ask()
  t.same(out, [1, 2], 'every frame before it asked')
  offer(3, 4, 5)
  t.same(out, [1, 2, 3])
  reader.ask()
  t.same(out, [1, 2, 3, 5], 'the newest, at once')
  reader.ask()
  reader.ask()
  offer(6, 7)
  t.same(out, [1, 2, 3, 5, 6], 'asking twice is asking once')
  t.equal(reader.dropped, 1)
})

t.test('a hello, then every frame, each once and in order; several readers; nobody left behind', async t => {
  const { path, readers } = await openSocket(t)
  const both = [readLabelSocket(path), readLabelSocket(path)]
  await joined(readers, 2)
  for (let sequence = 1; sequence <= 50; sequence++) {
    readers.offer(message(sequence))
    await tick()
  }
  for (const reader of both) {
    const last = await reader.hear(({ sequence }) => sequence === 50)
    t.same(reader.hellos, [hello])
    t.match(last, {
      frameId: 500,
      captureUs: 10n ** 15n,
      modelVersion: 4,
      latencyUs: 5000,
      width: 64,
      height: 40,
    })
    t.equal(Buffer.compare(last.map, map.data), 0)
    const seen = reader.labels.map(({ sequence }) => sequence)
    t.same(
      seen,
      seen.toSorted((a, b) => a - b),
    )
    t.equal(new Set(seen).size, seen.length)
    reader.socket.destroy()
  }
  await joined(readers, 0)
})

t.test('one that never reads costs two messages and delays nobody', async t => {
  const { path, readers } = await openSocket(t)
  const stuck = connect(path)
  stuck.pause()
  await joined(readers, 1)
  const good = readLabelSocket(path)
  await joined(readers, 2)
  const frames = 2000
  for (let sequence = 1; sequence <= frames; sequence++) {
    readers.offer(message(sequence))
    // Sockets are written to between the frames.
    if (sequence % 4 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await good.hear(({ sequence }) => sequence === frames)
  const { sent, dropped } = readers.totals
  t.equal(sent + dropped, 2 * frames - 1, 'all are accounted for; the newest waits for the one that is stuck')
  const toStuck = sent - good.labels.length
  t.ok(toStuck * message(1).length < 2e6, `${toStuck} messages are in the buffers of the kernel, no more`)
  stuck.destroy()
  await joined(readers, 1)
  good.socket.destroy()
})

t.test('a slow reader that asks gets new frames, not those that lie about', async t => {
  const { path, readers } = await openSocket(t)
  const slow = readLabelSocket(path)
  slow.socket.write('n')
  await waitFor('the hello', () => slow.hellos[0], { timeoutS: 30 })
  // The byte has been read once a frame that is offered does not come twice.
  await tick()
  const late: number[] = []
  let sequence = 0
  for (let i = 0; i < 10; i++) {
    for (let k = 0; k < 20; k++) {
      readers.offer(message(++sequence))
      await tick()
    }
    const newest = sequence
    const before = slow.labels.length
    slow.socket.write('n')
    await waitFor('a frame', () => slow.labels[before], { timeoutS: 30 })
    late.push(newest - slow.labels.at(-1)!.sequence)
  }
  t.same(new Set(late.slice(1)), new Set([0]), `frames behind the newest: ${late}`)
  slow.socket.destroy()
})

t.test('a flood, a goodbye, nonsense, a crowd: the others read on', async t => {
  const { path, readers, log } = await openSocket(t, { max: 4 })
  const good = readLabelSocket(path)
  await joined(readers, 1)
  const flood = connect(path)
  flood.on('error', () => {})
  flood.resume()
  await joined(readers, 2)
  flood.write(Buffer.alloc(20e6, 'n'))
  const halfClosed = connect({ path, allowHalfOpen: true })
  const goodbye = once(halfClosed, 'close')
  halfClosed.resume()
  halfClosed.end()
  await goodbye
  await joined(readers, 2)
  for (let i = 0; i < 30; i++)
    connect(path)
      .on('error', () => {})
      .destroy()
  for (let sequence = 1; sequence <= 50; sequence++) {
    readers.offer(message(sequence))
    await tick()
  }
  await good.hear(({ sequence }) => sequence === 50)
  t.ok(flood.writableLength > 0, 'what the flood brings waits on its own side')
  await joined(readers, 2)
  const crowd = Array.from({ length: 5 }, () => readLabelSocket(path))
  await waitFor(
    'three turned away',
    () => (crowd.filter(({ ended }) => ended).length === 3 ? true : undefined),
    {
      timeoutS: 30,
    },
  )
  t.equal(readers.size, 4)
  t.ok(log.lines.some(line => /turned away/.test(line)))
  for (const { socket } of [...crowd, good]) socket.destroy()
  await joined(readers, 1)
  flood.destroy()
  // Nobody listens to a flood; that it is gone is known at the next frame.
  readers.offer(message(51))
  readers.offer(message(52))
  await joined(readers, 0)
})

t.test(
  'who may connect is in the rights of the socket; stopping removes it, though not that of another',
  async t => {
    for (const [access, mode] of [
      ['owner', 0o600],
      ['group', 0o660],
      ['everyone', 0o666],
    ] as const) {
      const { path, socket } = await openSocket(t, { access })
      t.ok(statSync(path).isSocket())
      t.equal(statSync(path).mode & 0o777, mode, access)
      await socket.stop()
      t.notOk(existsSync(path))
      t.notOk(existsSync(`${path}.new`))
    }
    const { path, socket } = await openSocket(t)
    rmSync(path)
    writeFileSync(path, 'mine now')
    await socket.stop()
    t.equal(readFileSync(path, 'utf8'), 'mine now')
  },
)

t.test(
  'what a killed process left behind is replaced; a live socket, a file and a bad path are errors',
  async t => {
    const path = join(folderOf(t), 'labels.sock')
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
    t.equal(spawnSync(process.execPath, ['-e', script]).signal, 'SIGKILL')
    t.ok(existsSync(path), 'it is still there')
    const readers = new Readers({ hello: encodeHello(hello), max: 8 })
    const open = (at: string) => new LabelSocket({ path: at, access: 'group', readers, log: silentLog })
    writeFileSync(`${path}.new`, 'from a crash in the middle')
    const first = open(path)
    await first.start()
    t.teardown(() => first.stop())
    const reader = readLabelSocket(path)
    await joined(readers, 1)
    reader.socket.destroy()
    await t.rejects(open(path).start(), { name: 'UserError', message: /another program serves it/ })
    const file = `${path}.txt`
    writeFileSync(file, 'precious')
    await t.rejects(open(file).start(), { name: 'UserError', message: /something else than a socket/ })
    t.equal(readFileSync(file, 'utf8'), 'precious')
    await t.rejects(open(`/tmp/${'x'.repeat(120)}`).start(), {
      name: 'UserError',
      message: /at most 103 bytes/,
    })
    await t.rejects(open(join(file, 'labels.sock')).start(), { name: 'UserError', message: /choose another/ })
  },
)

async function openWebSocket(t: Test, max = 8) {
  const readers = new Readers({ hello: encodeHello(hello), max })
  const outlet = new LabelWebSocket({ port: 0, readers, log: silentLog })
  await outlet.start()
  t.teardown(() => outlet.stop())
  return { readers, outlet, url: `ws://127.0.0.1:${outlet.port}` }
}

function readWebSocket(url: string, options: { origin?: string; headers?: Record<string, string> } = {}) {
  const socket = new WebSocket(url, options)
  const messages: ReadMessage[] = []
  let refusal: string | undefined
  socket.on('message', (data, binary) => {
    if (!binary) throw new Error('not binary')
    messages.push(readMessage(new Uint8Array(data as Buffer)))
  })
  socket.on('error', error => {
    refusal = error.message
  })
  return { socket, messages, refusal: () => refusal }
}

t.test('the WebSocket says the same, one message each, to programs and pages of this machine', async t => {
  const { readers, url, outlet } = await openWebSocket(t)
  const page = readWebSocket(url, { origin: 'http://localhost:8080' })
  const program = readWebSocket(url)
  await joined(readers, 2)
  for (let sequence = 1; sequence <= 20; sequence++) {
    readers.offer(message(sequence))
    await tick()
  }
  for (const { messages, socket } of [page, program]) {
    const last = await waitFor(
      'the last frame',
      () => messages.find(found => found.kind === 'labels' && found.sequence === 20),
      { timeoutS: 30 },
    )
    t.same(messages[0], { kind: 'hello', hello })
    t.match(last, { map: map.data })
    socket.close()
  }
  await joined(readers, 0)
  for (const options of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { headers: { host: 'evil.example' } },
  ]) {
    const stranger = readWebSocket(url, options)
    await waitFor('a refusal', stranger.refusal, { timeoutS: 30 })
    t.match(stranger.refusal(), /403/)
  }
  const [answer] = await once(get(url.replace('ws', 'http')), 'response')
  t.equal(answer.statusCode, 426)
  const taken = new LabelWebSocket({ port: outlet.port, readers, log: silentLog })
  await t.rejects(taken.start(), { name: 'UserError', message: /webSocketPort/ })
})

t.test('a WebSocket that is stuck, talks too much or comes too many costs nobody else anything', async t => {
  const { readers, url, outlet } = await openWebSocket(t, 3)
  const stuck = readWebSocket(url)
  const asking = readWebSocket(url)
  const loud = readWebSocket(url)
  await joined(readers, 3)
  const fourth = readWebSocket(url)
  await waitFor('a refusal', fourth.refusal, { timeoutS: 30 })
  t.match(fourth.refusal(), /503/)
  stuck.socket.pause()
  loud.socket.send(Buffer.alloc(100_000))
  await joined(readers, 2)
  t.equal(loud.socket.readyState === WebSocket.OPEN, false)
  asking.socket.send('next')
  const frames = 3000
  for (let sequence = 1; sequence <= frames; sequence++) {
    readers.offer(message(sequence))
    if (sequence % 4 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  const heard = () => asking.messages.flatMap(found => (found.kind === 'labels' ? [found.sequence] : []))
  const before = heard().length
  asking.socket.send('next')
  await waitFor('one more', () => heard().length > before, { timeoutS: 30 })
  t.equal(heard().at(-1), frames, 'the newest')
  t.ok(readers.totals.dropped > 0)
  const half = connect(outlet.port, '127.0.0.1')
  await once(half, 'connect')
  half.write('GET / HTTP/1.1\r\nHost: loc')
  half.on('error', () => {})
  await outlet.stop()
  t.pass('stopping waits for nobody')
})
