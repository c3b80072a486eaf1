import { Worker } from 'node:worker_threads'
import { UserError } from '@kestrel/runtime'
import {
  SIGNAL_BYTES,
  Signal,
  type Trial,
  type WorkerReply,
  type WorkerRequest,
  type WorkerStart,
} from './protocol.js'
import { unstarved } from './thread-priority.js'

interface Pending {
  resolve: (trials: Trial[]) => void
  reject: (error: Error) => void
}

/** Part of ECMAScript 2024 that Node 20 has. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(words: Int32Array, index: number, value: number): { value: Promise<string> | string }
}

/** How long a thread may take to end by itself, ms. */
const END_MS = 10_000

/** The main thread's side of one student thread. Answers come in the order of the requests. */
export class WorkerClient {
  readonly #worker: Worker
  readonly #signals = new Int32Array(new SharedArrayBuffer(SIGNAL_BYTES))
  #pending: Pending[] = []
  #gone: Error | undefined

  constructor(start: Omit<WorkerStart, 'signals'>) {
    const workerData: WorkerStart = { ...start, signals: this.#signals.buffer as SharedArrayBuffer }
    this.#worker = new Worker(new URL('./student-worker.js', import.meta.url), { workerData })
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
      this.#wake()
    })
  }

  /** Labels what lies in the shared frame, in an active worker; one at a time. */
  async label(): Promise<void> {
    const before = Atomics.load(this.#signals, Signal.done)
    Atomics.add(this.#signals, Signal.frame, 1)
    this.#wake()
    if (this.#gone === undefined) await waitAsync(this.#signals, Signal.done, before).value
    if (this.#gone !== undefined) throw this.#gone
    if (Atomics.load(this.#signals, Signal.failed) !== 0) await this.request({ kind: 'failure' })
  }

  /**
   * Ends the thread once it has come out of ONNX Runtime: `terminate` in the middle of a run or a release makes the binding throw where
   * nothing can catch, and that aborts the process. Only a thread that hangs is ended by force.
   */
  async stop(): Promise<void> {
    if (this.#gone === undefined) {
      this.#fail(new Error('the student was stopped'))
      const ended = new Promise(resolve => this.#worker.once('exit', resolve))
      this.#worker.postMessage({ kind: 'end' } satisfies WorkerRequest)
      this.#wake()
      await unstarved(Promise.race([ended, new Promise(resolve => setTimeout(resolve, END_MS).unref())]))
    }
    await this.#worker.terminate()
  }

  #wake(): void {
    Atomics.add(this.#signals, Signal.wake, 1)
    Atomics.notify(this.#signals, Signal.wake)
  }

  #fail(error: Error): void {
    this.#gone ??= error
    const pending = this.#pending
    this.#pending = []
    for (const { reject } of pending) reject(this.#gone)
    // Whoever waits for a frame's labels wakes up, and sees.
    Atomics.notify(this.#signals, Signal.done)
  }
}
