import { Worker } from 'node:worker_threads'
import { UserError } from '@kestrel/runtime'
import type { Trial, WorkerReply, WorkerRequest, WorkerStart } from './protocol.js'

interface Pending {
  resolve: (trials: Trial[]) => void
  reject: (error: Error) => void
}

/** The main thread's side of one student thread. Answers come in the order of the requests. */
export class WorkerClient {
  readonly #worker: Worker
  #pending: Pending[] = []
  #gone: Error | undefined

  constructor(start: WorkerStart) {
    this.#worker = new Worker(new URL('./student-worker.js', import.meta.url), { workerData: start })
    this.#worker.on('message', (reply: WorkerReply) => {
      // Answers that were under way when the thread was stopped have nobody left to take them.
      const pending = this.#pending.shift()
      if (reply.ok) pending?.resolve(reply.trials ?? [])
      else pending?.reject(reply.user ? new UserError(reply.error) : new Error(reply.error))
    })
    this.#worker.on('error', error => this.#fail(error))
    this.#worker.on('exit', code => this.#fail(new Error(`the student's thread ended (code ${code})`)))
  }

  /** Whether the thread has ended, by failure or by `stop`. */
  get gone(): boolean {
    return this.#gone !== undefined
  }

  /** @returns the trials of a `try`; nothing otherwise */
  request(request: WorkerRequest, transfer: ArrayBuffer[] = []): Promise<Trial[]> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone)
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject })
      this.#worker.postMessage(request, transfer)
    })
  }

  async stop(): Promise<void> {
    this.#fail(new Error('the student was stopped'))
    await this.#worker.terminate()
  }

  #fail(error: Error): void {
    this.#gone ??= error
    const pending = this.#pending
    this.#pending = []
    for (const { reject } of pending) reject(this.#gone)
  }
}
