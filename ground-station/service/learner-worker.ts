import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type Log, messageOf, UserError } from '@kestrel/runtime'
import type { CarriedError, FromLearner, LearnerWorkerData, ToLearner } from './learner-protocol.js'
import { SessionLearner } from './session-learner.js'

/* The learner's thread: wires the learner to messages from the main thread. */

const { config, stop } = workerData as LearnerWorkerData
const flag = new Int32Array(stop)
const port = parentPort!

function send(message: FromLearner): void {
  port.postMessage(message)
}

/** Lines go to the main thread's log: one writer, in order. */
function remoteLog(parts: string[]): Log {
  const line =
    (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, figures?: Record<string, unknown>) =>
      send({ kind: 'log', level, parts, message, figures })
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: part => remoteLog([...parts, part]),
  }
}

function carried(error: unknown): CarriedError {
  const stack = error instanceof Error ? error.stack : undefined
  return { message: messageOf(error), user: error instanceof UserError, stack }
}

/**
 * Training takes what others leave. On Linux niceness belongs to a thread, and threads that it starts (those of ONNX Runtime) inherit it;
 * pid 0 is the calling thread (setpriority(2), "C library/kernel differences"). Elsewhere it would slow down the broker too.
 */
function giveWay(): void {
  if (process.platform === 'linux' && config.training.nice > 0) setPriority(config.training.nice)
}

async function start(): Promise<void> {
  giveWay()
  const shouldStop = () => Atomics.load(flag, 0) !== 0
  const learner = await SessionLearner.create({ config, log: remoteLog([]), shouldStop })
  const handle = async (message: ToLearner) => {
    if (message.kind === 'close') {
      await learner.close().catch(error => send({ kind: 'failed', error: carried(error) }))
      send({ kind: 'closed' })
      port.close()
      return
    }
    const { id, job } = message
    try {
      send({ kind: 'done', id, result: await learner.run(job) })
    } catch (error) {
      send({ kind: 'refused', id, error: carried(error) })
    }
  }
  // One after the other: closing waits for the job that is running.
  let tail = Promise.resolve()
  port.on('message', (message: ToLearner) => {
    tail = tail.then(() => handle(message))
  })
  const { source, classes, palette, layoutDigest } = learner.student
  send({ kind: 'ready', student: { source, classes, palette, layoutDigest } })
}

start().catch(error => {
  send({ kind: 'failed', error: carried(error) })
  port.close()
})
