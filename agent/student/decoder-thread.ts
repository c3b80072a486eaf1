import { Worker } from 'node:worker_threads'
import { type ClassList, type RefusalReason, type Student, UpdateRefused } from '@kestrel/models'
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

/** Verifies updates on a thread of low priority, one at a time. The thread starts with the first update. */
export class DecoderThread implements UpdateDecoder {
  readonly #start: DecoderStart
  #worker: Worker | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(student: Student) {
    const { bytes, source, classes, palette } = student
    this.#start = { bytes, source, classes: { classes, palette } }
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
    const worker = (this.#worker ??= new Worker(new URL('./decoder-worker.js', import.meta.url), {
      workerData: this.#start,
    }))
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        this.#worker = undefined
        reject(error)
      }
      const ended = () => fail(new Error('the thread that verifies updates ended'))
      worker.once('error', fail).once('exit', ended)
      worker.once('message', (reply: DecodeReply) => {
        worker.off('error', fail).off('exit', ended)
        if (reply.ok) resolve(reply.decoded)
        else if (reply.reason !== undefined) reject(new UpdateRefused(reply.reason, reply.message))
        else reject(new Error(reply.message))
      })
      worker.postMessage(request)
    })
  }
}
