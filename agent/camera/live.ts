import { Backoff } from '@kestrel/link'
import { type Clock, type Log, messageOf, UserError } from '@kestrel/runtime'
import type { Camera, Frame } from './camera.js'
import type { LivePicture, LiveSource, LiveStream } from './live-source.js'

/** A camera that stays this long is well again: the next loss is met with the shortest wait, ms. */
const WELL_MS = 5000
/** So many damaged pictures in a row are no accident: the camera is opened again. */
const MOST_DAMAGED = 30

interface Newest {
  picture: LivePicture
  id: number
  stream: LiveStream
}

/** A camera with its own time: always the newest picture, and opened again for as long as it is away. */
export class LiveCamera implements Camera {
  readonly #source: LiveSource
  readonly #clock: Clock
  readonly #log: Log
  readonly #stallMs: number
  readonly #backoff: Backoff
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #stream: LiveStream | undefined
  /** What the camera was like when it was last there. */
  #last: { description: string; width: number; height: number; fps?: number } | undefined
  #trouble: string | undefined
  /** Reasons said in this outage: each once. */
  readonly #said = new Set<string>()
  /** The newest picture that nobody has taken yet, and the stream that it is of. */
  #newest: Newest | undefined
  #ids = 0
  #dropped = 0
  /** Lost by streams that are closed. */
  #lost = 0
  #damaged = 0
  /** Ends the open stream: the camera is to stop, or its pictures are worth nothing. */
  #ending: AbortController | undefined
  /** Since when there is trouble. */
  #sinceMs = 0
  /** Pictures are decoded one at a time. */
  #decoding: Promise<unknown> = Promise.resolve()
  readonly #waiting = new Set<() => void>()

  /** @param options.stallMs a camera without a picture for so long is closed and opened again, ms */
  constructor(source: LiveSource, options: { stallMs: number; clock: Clock; log: Log }) {
    this.#source = source
    this.#stallMs = options.stallMs
    this.#clock = options.clock
    this.#log = options.log
    this.#backoff = new Backoff({ minMs: 250, maxMs: 5000, seed: source.name })
  }

  get description(): string {
    return this.#last?.description ?? `${this.#source.name} (not there yet)`
  }

  get fps(): number {
    return this.#last?.fps ?? 0
  }

  get width(): number {
    return this.#last?.width ?? 0
  }

  get height(): number {
    return this.#last?.height ?? 0
  }

  get dropped(): number {
    return this.#dropped + this.#lost + (this.#stream?.lost ?? 0)
  }

  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Tries to open it once; where it is away it is waited for afterwards. @throws UserError where waiting would not help */
  async start(): Promise<void> {
    if (this.#running !== undefined) throw new Error('The camera was started before')
    let stream: LiveStream | undefined
    try {
      stream = await this.#open()
    } catch (error) {
      if (error instanceof UserError) throw error
      this.#away(messageOf(error))
    }
    this.#running = this.#run(stream)
  }

  async next(signal?: AbortSignal): Promise<Frame | undefined> {
    if (this.#running === undefined) throw new Error('The camera is not started')
    while (!signal?.aborted && !this.#stopping.signal.aborted) {
      const newest = this.#newest
      if (newest === undefined) {
        await this.#news(signal)
        continue
      }
      this.#newest = undefined
      const frame = await this.#decode(newest)
      if (frame !== undefined) return frame
    }
    return undefined
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#ending?.abort(new Error('stopped'))
    this.#wake()
    await this.#running
    await this.#decoding
  }

  async #run(first: LiveStream | undefined): Promise<void> {
    const { signal } = this.#stopping
    let stream = first
    while (!signal.aborted) {
      if (stream !== undefined) {
        const reason = await this.#play(stream)
        stream = undefined
        if (signal.aborted) return
        this.#away(reason)
      }
      await this.#clock.sleep(this.#backoff.nextMs(), signal)
      if (signal.aborted) return
      try {
        stream = await this.#open()
      } catch (error) {
        this.#away(messageOf(error))
      }
    }
    await stream?.close()
  }

  async #open(): Promise<LiveStream> {
    const stream = await this.#source.open(this.#stopping.signal)
    const { description, width, height, fps } = stream
    this.#last = { description, width, height, fps }
    return stream
  }

  /** Takes pictures until the camera is gone or is to stop. Returns why it ended. */
  async #play(stream: LiveStream): Promise<string> {
    const beganMs = this.#clock.nowMs()
    const ending = new AbortController()
    this.#ending = ending
    this.#stream = stream
    this.#damaged = 0
    try {
      while (!this.#stopping.signal.aborted) {
        const picture = await this.#within(stream.read(), ending.signal)
        if (this.#clock.nowMs() - beganMs > WELL_MS) this.#backoff.reset()
        this.#put({ picture, id: this.#ids++, stream })
      }
      return 'stopped'
    } catch (error) {
      return messageOf(error)
    } finally {
      this.#drop()
      await this.#decoding
      await stream.close().catch(error => this.#log.debug(`${stream.description}: ${messageOf(error)}`))
      this.#lost += stream.lost
      this.#stream = this.#ending = undefined
    }
  }

  /** Rejects where the camera gives nothing for too long, or the stream is to end. */
  #within(reading: Promise<LivePicture>, ending: AbortSignal): Promise<LivePicture> {
    return new Promise((resolve, reject) => {
      const waiting = new AbortController()
      const settle = (act: () => void) => {
        act()
        waiting.abort()
        ending.removeEventListener('abort', end)
      }
      const end = () => settle(() => reject(ending.reason))
      ending.addEventListener('abort', end, { once: true })
      reading.then(
        picture => {
          // Whoever waited has gone.
          if (waiting.signal.aborted) picture.discard?.()
          settle(() => resolve(picture))
        },
        error => settle(() => reject(error)),
      )
      void this.#clock
        .sleep(this.#stallMs, waiting.signal)
        .then(() => settle(() => reject(new Error(`no picture for ${this.#stallMs / 1000} s`))))
    })
  }

  #put(newest: Newest): void {
    if (this.#newest !== undefined) this.#dropped += 1
    this.#newest?.picture.discard?.()
    this.#newest = newest
    this.#wake()
  }

  #drop(): void {
    if (this.#newest === undefined) return
    this.#dropped += 1
    this.#newest.picture.discard?.()
    this.#newest = undefined
  }

  /** Undefined where the picture is damaged. */
  async #decode({ picture, id, stream }: Newest): Promise<Frame | undefined> {
    const decoding = this.#decoding.then(() => picture.decode())
    this.#decoding = decoding.catch(() => undefined)
    try {
      const image = await decoding
      this.#well(stream)
      return { id, captureMs: picture.captureMs, sourceIndex: id, image }
    } catch (error) {
      this.#dropped += 1
      this.#damaged += 1
      this.#log.debug(`Picture ${id} is damaged: ${messageOf(error)}`)
      if (this.#damaged >= MOST_DAMAGED && stream === this.#stream) {
        this.#ending?.abort(new Error(`${this.#damaged} damaged pictures in a row (${messageOf(error)})`))
      }
      return undefined
    }
  }

  /** A picture came out whole. */
  #well(stream: LiveStream): void {
    this.#damaged = 0
    if (this.#trouble === undefined) return
    const seconds = (this.#clock.nowMs() - this.#sinceMs) / 1000
    this.#log.info(`${stream.description} gives pictures after ${seconds.toFixed(1)} s`)
    this.#trouble = undefined
    this.#said.clear()
  }

  /** The camera gives nothing: said once for each reason, however often it is tried. */
  #away(reason: string): void {
    if (this.#trouble === undefined) this.#sinceMs = this.#clock.nowMs()
    this.#trouble = reason
    if (this.#said.has(reason)) return
    this.#said.add(reason)
    this.#log.warn(`${this.#source.name}: ${reason}. Waiting for it`)
  }

  /** Resolves with the next picture, or when the caller or the camera gives up. */
  #news(signal: AbortSignal | undefined): Promise<void> {
    return new Promise(resolve => {
      const wake = () => {
        this.#waiting.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}
