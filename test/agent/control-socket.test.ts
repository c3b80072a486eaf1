import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askAgent, ControlSocket } from '@kestrel/agent'
import t, { type Test } from 'tap'

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'kestrel-control-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}

async function serve(t: Test, path: string) {
  const socket = new ControlSocket(path, {
    status: () => ({ fps: 25 }),
    fail: async () => {
      throw new Error('not now')
    },
  })
  await socket.start()
  t.teardown(() => socket.stop())
  return socket
}

/** Sends bytes as they are; resolves with all that comes back until the other side hangs up, however rudely. */
function raw(path: string, bytes: string): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    connect(path)
      .on('data', data => {
        text += data
      })
      .on('close', () => resolve(text))
      .on('error', () => undefined)
      .write(bytes)
  })
}

t.test('a question and its answer, several at once', async t => {
  const path = join(folder(t), 'deep/agent.sock')
  await serve(t, path)
  t.equal(statSync(path).mode & 0o777, 0o660, 'for its owner and group')
  const answers = await Promise.all(Array.from({ length: 20 }, () => askAgent(path, { command: 'status' })))
  t.same(
    answers,
    Array.from({ length: 20 }, () => ({ fps: 25 })),
  )
  await t.rejects(askAgent(path, { command: 'fail' }), { name: 'UserError', message: /not now/ })
  await t.rejects(askAgent(path, { command: 'toString' }), {
    name: 'UserError',
    message: /unknown command "toString": expected one of status, fail/,
  })
})

t.test('nobody there: no socket, one that was left behind, a path that cannot be', async t => {
  const path = join(folder(t), 'agent.sock')
  t.equal(await askAgent(path, { command: 'status' }), undefined)
  const first = await serve(t, path)
  await first.stop()
  t.equal(await askAgent(path, { command: 'status' }), undefined)
  t.equal(await askAgent('/dev/null/agent.sock', { command: 'status' }), undefined)
})

t.test('a second agent with the same state is refused; one that died is replaced', async t => {
  const path = join(folder(t), 'agent.sock')
  const socket = await serve(t, path)
  await t.rejects(new ControlSocket(path, {}).start(), { name: 'UserError', message: /Another agent runs/ })
  t.same(await askAgent(path, { command: 'status' }), { fps: 25 }, 'the first is unharmed')
  await socket.stop()
  // What a killed process leaves behind: a socket file without a listener.
  const { spawnSync } = await import('node:child_process')
  const code = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  t.equal(spawnSync(process.execPath, ['-e', code]).signal, 'SIGKILL')
  t.ok(statSync(path).isSocket())
  await serve(t, path)
  t.same(await askAgent(path, { command: 'status' }), { fps: 25 })
})

t.test('rubbish is answered or hung up on, and harms nobody', async t => {
  const path = join(folder(t), 'agent.sock')
  await serve(t, path)
  for (const text of [
    '\n',
    'null\n',
    '[]\n',
    '{"command":1}\n',
    '{"command":"__proto__"}\n',
    '{"command"\n',
  ]) {
    t.match(await raw(path, text), /^\{"ok":false,"error":".+"\}\n$/, JSON.stringify(text))
  }
  t.equal(await raw(path, 'x'.repeat(100_000)), '', 'a line without an end')
  t.same(await askAgent(path, { command: 'status' }), { fps: 25 })
})

t.test('a path that is too long for a socket is an error, not a crash', async t => {
  await t.rejects(new ControlSocket(join(folder(t), 'x'.repeat(120)), {}).start(), {
    message: /at most 107 bytes/,
  })
})
