import { Worker } from 'node:worker_threads'
import { type ClassList, type RefusalReason, type Student, UpdateRefused } from '@kestrel/models'
import { unstarved } from './thread-priority.js'
import type { DecodedUpdate, UpdateDecoder, WeightState } from './update-decoder.js'

export interface DecoderStart {
  bytes: Uint8Array
  source: string
  classes: ClassList
}

export interface DecodeRequest {
  data: Uint8Array
  base: WeightState
}

export type DecodeReply =
  | { ok: true; decoded: DecodedUpdate }
  | { ok: false; reason: RefusalReason | undefined; message: string }

/** Verifies updates on a thread of low priority, one at a time. */
export class DecoderThread implements UpdateDecoder {
  readonly #data: DecoderStart
  #worker: Worker | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(student: Student) {
    const { bytes, source, classes, palette } = student
    this.#data = { bytes, source, classes: { classes, palette } }
  }

  /** Starts the thread ahead of the first update, which otherwise waits for it. */
  start(): void {
    this.#thread()
  }

  decode(data: Uint8Array, base: WeightState): Promise<DecodedUpdate> {
    const result = this.#last.then(() => this.#ask({ data, base }))
    this.#last = result.catch(() => undefined)
    return result
  }

  async stop(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #ask(request: DecodeRequest): Promise<DecodedUpdate> {
    const worker = this.#thread()
    const decoded = new Promise<DecodedUpdate>((resolve, reject) => {
      const ended = () => reject(new Error('the thread that verifies updates ended'))
      worker.once('error', reject).once('exit', ended)
      worker.once('message', (reply: DecodeReply) => {
        worker.off('error', reject).off('exit', ended)
        if (reply.ok) resolve(reply.decoded)
        else if (reply.reason !== undefined) reject(new UpdateRefused(reply.reason, reply.message))
        else reject(new Error(reply.message))
      })
      worker.postMessage(request)
    })
    return unstarved(decoded)
  }

  /** One that has ended is replaced by a new one. */
  #thread(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(new URL('./decoder-worker.js', import.meta.url), { workerData: this.#data })
    const gone = () => {
      if (this.#worker === worker) this.#worker = undefined
    }
    worker.on('error', gone).on('exit', gone)
    this.#worker = worker
    return worker
  }
}
