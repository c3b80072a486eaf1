import { Worker } from 'node:worker_threads'
import type { EncoderKind } from '@kestrel/link'
import type { EncodeAnswer, EncodeJob, SegmentEncode } from './encoding.js'

interface Pending {
  resolve: (bytes: Uint8Array) => void
  reject: (error: Error) => void
}

/** Encodes segments on a thread of low priority, so that encoding never delays inference. */
export class SegmentEncoder {
  #worker: Worker | undefined
  #stopped = false
  #nextId = 0
  readonly #pending = new Map<number, Pending>()
  readonly #onFailure: (reason: string) => void
  #kind: EncoderKind = 'software'

  /** @param options.onFailure hears why the encoder that was chosen failed; software encodes from then on */
  constructor(options: { onFailure?: (reason: string) => void } = {}) {
    this.#onFailure = options.onFailure ?? (() => undefined)
  }

  /** What encodes the next segments. */
  use(kind: EncoderKind): void {
    this.#kind = kind
  }

  /**
   * As `encodeSegment`. Images that own their buffers are moved to the encoding thread: do not use them afterwards.
   *
   * @throws Error with the encoder's reason; the next segment starts afresh
   */
  readonly encode: SegmentEncode = (images, options) => {
    if (this.#stopped) return Promise.reject(new Error('the segment encoder was stopped'))
    const worker = (this.#worker ??= this.#thread())
    const id = this.#nextId++
    const job: EncodeJob = { id, images, options: { encoder: this.#kind, ...options } }
    // A view into a larger buffer is copied instead: the rest of that buffer is somebody else's.
    const moved = new Set(
      images
        .map(({ data }) => data)
        .filter(ownsBuffer)
        .map(({ buffer }) => buffer),
    )
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      worker.postMessage(job, [...moved])
    })
  }

  /** Starts the thread ahead of the first segment, which otherwise waits for it. */
  start(): void {
    this.#worker ??= this.#thread()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    const worker = this.#worker
    this.#worker = undefined
    this.#fail('the segment encoder was stopped')
    await worker?.terminate()
  }

  #thread(): Worker {
    const worker = new Worker(new URL('./encode-worker.js', import.meta.url))
    worker.on('message', (answer: EncodeAnswer) => {
      const pending = this.#pending.get(answer.id)
      this.#pending.delete(answer.id)
      if ('error' in answer) pending?.reject(new Error(answer.error))
      else {
        if (answer.failed !== undefined && this.#kind !== 'software') {
          this.#kind = 'software'
          this.#onFailure(answer.failed)
        }
        pending?.resolve(answer.bytes)
      }
    })
    const gone = (reason: string) => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#fail(reason)
    }
    worker.on('error', error => gone(`the segment encoder failed: ${error.message}`))
    worker.on('exit', () => gone('the segment encoder ended unexpectedly'))
    return worker
  }

  #fail(reason: string): void {
    for (const { reject } of this.#pending.values()) reject(new Error(reason))
    this.#pending.clear()
  }
}

function ownsBuffer(data: Uint8Array): data is Uint8Array<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength
}
