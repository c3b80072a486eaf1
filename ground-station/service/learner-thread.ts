import { Worker } from 'node:worker_threads'
import { type Log, UserError } from '@kestrel/runtime'
import type { GroundConfig } from './config.js'
import type { Job, JobResult, Learner, StudentIdentity } from './learner.js'
import type { CarriedError, FromLearner, LearnerWorkerData, ToLearner } from './learner-protocol.js'

/**
 * Starts the learner on its own thread, so that the broker and the link never wait for training.
 *
 * @param options.onLost called where the thread ends by itself: a defect, nothing can go on
 * @throws UserError where student, teacher or engine cannot be used
 */
export async function startLearnerThread(options: {
  config: GroundConfig
  log: Log
  onLost: (error: Error) => void
}): Promise<Learner> {
  const { config, log, onLost } = options
  const stop = new SharedArrayBuffer(4)
  const workerData: LearnerWorkerData = { config, stop }
  const worker = new Worker(new URL('./learner-worker.js', import.meta.url), { workerData })
  const waiting = new Map<number, { resolve: (result: JobResult) => void; reject: (error: Error) => void }>()
  const post = (message: ToLearner) => worker.postMessage(message)
  let nextId = 0
  let closing: (() => void) | undefined
  let closed: Promise<void> | undefined
  const student = await new Promise<StudentIdentity>((resolve, reject) => {
    const lost = (error: Error) => {
      reject(error)
      for (const { reject: refuse } of waiting.values()) refuse(error)
      waiting.clear()
      if (closing === undefined) onLost(error)
    }
    worker.on('error', lost)
    worker.on('exit', code => {
      lost(new Error(`The learner's thread ended with code ${code}`))
      closing?.()
    })
    worker.on('message', (message: FromLearner) => {
      switch (message.kind) {
        case 'ready':
          return resolve(message.student)
        case 'failed':
          if (closing !== undefined) return log.error(message.error.message)
          closing = () => {}
          return reject(toError(message.error))
        case 'done':
          waiting.get(message.id)?.resolve(message.result)
          return waiting.delete(message.id)
        case 'refused':
          waiting.get(message.id)?.reject(toError(message.error))
          return waiting.delete(message.id)
        case 'log':
          return message.parts
            .reduce((at, part) => at.child(part), log)
            [message.level](message.message, message.figures)
        case 'closed':
          return closing?.()
      }
    })
  })
  return {
    student,
    run: (job: Job) =>
      new Promise((resolve, reject) => {
        const id = nextId++
        waiting.set(id, { resolve, reject })
        post({ kind: 'job', id, job })
      }),
    close: () => (closed ??= close()),
  }

  async function close(): Promise<void> {
    Atomics.store(new Int32Array(stop), 0, 1)
    await new Promise<void>(resolve => {
      closing = resolve
      post({ kind: 'close' })
    })
    await worker.terminate()
  }
}

function toError({ message, user, stack }: CarriedError): Error {
  if (user) return new UserError(message)
  const error = new Error(message)
  error.stack = stack
  return error
}
