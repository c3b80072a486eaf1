import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askAgent } from '@kestrel/agent'
import koffi from 'koffi'
import t, { type Test } from 'tap'
import { bins, freePort, start, waitFor } from '../support/processes.js'
import { writeScene } from '../support/scene.js'
import { notifySocket } from './notify-socket.js'
import { tinyStudent } from './support.js'

t.setTimeout(180_000)

/** ptrace(2): these stop one thread and let the others of its process run, until it is let go. */
const PTRACE_DETACH = 17
const PTRACE_SEIZE = 0x4206
const PTRACE_INTERRUPT = 0x4207

/** The kernel's ids of the threads of a process that are called so. */
function threadsNamed(pid: number, name: string): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .filter(id => readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim() === name)
}

/**
 * Stops threads of a child of this process, and no others. A thread that dies while it is held waits for whoever holds it, and its process with it: let go of
 * them before the process is killed.
 *
 * @returns what lets go of them; undefined where this machine does not allow to hold them
 */
function hold(t: Test, ids: number[]): (() => void) | undefined {
  const call = koffi.load('libc.so.6').func('long ptrace(long request, int pid, long address, long data)')
  const ptrace = (request: number, id: number) => Number(call(request, id, 0, 0)) === 0
  const held = ids.filter(id => ptrace(PTRACE_SEIZE, id))
  for (const id of held) ptrace(PTRACE_INTERRUPT, id)
  const letGo = () => {
    for (const id of held.splice(0)) ptrace(PTRACE_DETACH, id)
  }
  // However the test ends.
  t.teardown(letGo)
  if (held.length === ids.length) return letGo
  letGo()
  return undefined
}

t.test(
  'only the threads of the student hang: the watchdog starves, though the agent still answers',
  { skip: process.platform !== 'linux' && 'Linux only' },
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'kestrel-watchdog-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
    const { frames } = writeScene(folder, { seconds: 1, fps: 10, width: 48, height: 32, seed: 1 })
    writeFileSync(join(folder, 'tiny.onnx'), tinyStudent().bytes)
    const config = join(folder, 'agent.yaml')
    const options = {
      drone: 'kes1',
      broker: `mqtt://127.0.0.1:${await freePort()}`,
      student: 'tiny.onnx',
      stateDir: join(folder, 'state'),
      camera: { source: frames, fps: 10, loop: true },
      threads: 1,
    }
    writeFileSync(config, JSON.stringify(options))
    const name = `@kestrel-watchdog-${process.pid}`
    const receive = notifySocket(t, name)
    const heard: string[] = []
    const hear = () => {
      for (let said = receive(); said !== undefined; said = receive()) heard.push(...said.split('\n'))
    }
    const fed = () => {
      hear()
      return heard.filter(message => message === 'WATCHDOG=1').length
    }
    const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '2000000', RUNTIME_DIRECTORY: folder }
    const agent = start(bins.agent, ['run', '--config', config], { env })
    const pid = agent.child.pid!
    t.teardown(() => agent.stop('SIGKILL'))
    await waitFor('two feeds', () => fed() >= 2, {
      timeoutS: 150,
      context: agent.output,
    })
    t.ok(heard.includes('READY=1'))

    const threads = threadsNamed(pid, 'kestrel-student')
    t.ok(
      threads.length >= 2 && !threads.includes(pid),
      `${threads.length} threads, the active and the standby`,
    )
    const letGo = hold(t, threads)
    if (letGo === undefined) {
      t.pass('skipped: no thread may be stopped here (ptrace)')
      return
    }
    // A frame whose labels were on their way.
    await new Promise(resolve => setTimeout(resolve, 500))
    const before = fed()
    await new Promise(resolve => setTimeout(resolve, 3000))
    t.equal(fed(), before, 'longer than the watchdog waits')
    t.match(await askAgent(join(folder, 'agent.sock'), { command: 'status' }), { drone: 'kes1' })
    letGo()
    await waitFor('feeds once they go on', () => fed() > before, {
      timeoutS: 30,
      context: agent.output,
    })
  },
)
