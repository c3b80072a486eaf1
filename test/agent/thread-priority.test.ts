import { spawnSync } from 'node:child_process'
import t from 'tap'

interface Outcome {
  /** Whether this user may raise priorities here. */
  allowed: boolean
  raised: boolean
  /** Niceness of the main thread, of a thread and of a process that it starts then. */
  main: number
  thread: number
  child: number
}

/** In a process of its own: what it does to its threads stays there. */
const script = `(async () => {
  const { getPriority, setPriority } = require('node:os')
  const { Worker } = require('node:worker_threads')
  const { spawnSync } = require('node:child_process')
  let allowed = true
  try {
    setPriority(-1)
    setPriority(Number(process.argv[1]))
  } catch {
    allowed = false
  }
  const { raisePriority } = await import('@kestrel/agent')
  const raised = raisePriority()
  const ask = 'require("node:os").getPriority()'
  const worker = new Worker('require("node:worker_threads").parentPort.postMessage(' + ask + ')', { eval: true })
  const thread = await new Promise(resolve => worker.once('message', resolve))
  const child = Number(spawnSync(process.execPath, ['-p', ask], { encoding: 'utf8' }).stdout)
  console.log(JSON.stringify({ allowed, raised, main: getPriority(), thread, child }))
})()`

function outcomeAt(niceness: number): Outcome {
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script, `${niceness}`], { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout)
}

const linux = { skip: process.platform !== 'linux' && 'Linux only' }

t.test('the main thread goes ahead, and nothing that it starts', linux, async t => {
  const { allowed, ...outcome } = outcomeAt(0)
  if (allowed) t.same(outcome, { raised: true, main: -10, thread: 0, child: 0 })
  else t.match(outcome, { raised: false }, 'without the right to, all stays as it is')
})

t.test('a process that somebody made to give way goes on giving way', linux, async t => {
  const { allowed, ...outcome } = outcomeAt(3)
  if (allowed) t.same(outcome, { raised: false, main: 3, thread: 3, child: 3 })
  else t.match(outcome, { raised: false })
})
