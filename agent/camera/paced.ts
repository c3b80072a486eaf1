import { type Clock, type Log, messageOf } from '@kestrel/runtime'
import type { Camera, Frame, Pace } from './camera.js'
import type { FrameSource, SourceFrame } from './source.js'

/** A recording that falls this far behind its own time is worth a line in the log. */
const LATE_MS = 1000

/** Plays a recording as a camera would give it, or as fast as it is asked for. */
export class PacedCamera implements Camera {
  readonly #source: FrameSource
  readonly #pace: Pace
  readonly #loop: boolean
  readonly #clock: Clock
  readonly #log: Log
  readonly #stopping = new AbortController()
  #frames: AsyncGenerator<Frame, void> | undefined
  /** As fast as possible: the frame that is being fetched; one whose caller gave up waits for the next one. */
  #fetching: Promise<IteratorResult<Frame, void>> | undefined
  /** In real time: the newest frame that nobody has taken yet. */
  #newest: Frame | undefined
  #playing: Promise<void> | undefined
  #waiting = new Set<() => void>()
  #ended = false
  #failure: unknown
  #startMs = 0
  #dropped = 0

  constructor(source: FrameSource, options: { pace: Pace; loop: boolean; clock: Clock; log: Log }) {
    this.#source = source
    this.#pace = options.pace
    this.#loop = options.loop
    this.#clock = options.clock
    this.#log = options.log
  }

  get description(): string {
    const { name, width, height, fps } = this.#source
    return `${name} (${width}x${height}, ${Number(fps.toFixed(2))} fps)`
  }

  get fps(): number {
    return this.#source.fps
  }

  get width(): number {
    return this.#source.width
  }

  get height(): number {
    return this.#source.height
  }

  get dropped(): number {
    return this.#dropped
  }

  async start(): Promise<void> {
    if (this.#frames !== undefined) throw new Error('The camera was started before')
    this.#startMs = this.#clock.nowMs()
    this.#frames = this.#read()
    if (this.#pace === 'real-time') this.#playing = this.#play(this.#frames)
  }

  async next(signal?: AbortSignal): Promise<Frame | undefined> {
    if (this.#frames === undefined) throw new Error('The camera is not started')
    if (signal?.aborted || this.#stopping.signal.aborted) return undefined
    return this.#pace === 'real-time' ? this.#nextNewest(signal) : this.#nextInOrder(this.#frames, signal)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#end()
    this.#newest = undefined
    await this.#playing
    // Waits for what is being decoded, then closes the source.
    await this.#frames?.return()
  }

  /** The source's frames with our ids and times, over and over where it loops. */
  async *#read(): AsyncGenerator<Frame, void> {
    let id = 0
    let offsetMs = this.#startMs
    do {
      let last: SourceFrame | undefined
      for await (const frame of this.#source.read()) {
        last = frame
        yield { id: id++, captureMs: offsetMs + frame.ptsMs, sourceIndex: frame.index, image: frame.image }
      }
      offsetMs += (last?.ptsMs ?? 0) + 1000 / this.#source.fps
    } while (this.#loop && !this.#stopping.signal.aborted)
  }

  async #nextInOrder(
    frames: AsyncGenerator<Frame, void>,
    signal: AbortSignal | undefined,
  ): Promise<Frame | undefined> {
    const fetching = (this.#fetching ??= frames.next())
    const aborted = await this.#unless(signal, fetching)
    if (aborted) return undefined
    // Several callers may wait for the same frame: the first takes it, the others go on to the next.
    if (this.#fetching !== fetching) return this.next(signal)
    this.#fetching = undefined
    const result = await fetching
    return result.done ? undefined : result.value
  }

  async #nextNewest(signal: AbortSignal | undefined): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#newest
      if (frame !== undefined) {
        this.#newest = undefined
        return frame
      }
      if (this.#failure !== undefined) throw this.#failure
      if (this.#ended || signal?.aborted) return undefined
      let wake = () => {}
      const news = new Promise<void>(resolve => {
        wake = resolve
      })
      this.#waiting.add(wake)
      await this.#unless(signal, news)
      this.#waiting.delete(wake)
    }
  }

  /** Resolves once the work settles (false), or when the caller or the camera gives up on it (true). */
  #unless(signal: AbortSignal | undefined, work: Promise<unknown>): Promise<boolean> {
    const signals = signal === undefined ? [this.#stopping.signal] : [signal, this.#stopping.signal]
    return new Promise(resolve => {
      const settle = (aborted: boolean) => {
        for (const one of signals) one.removeEventListener('abort', abort)
        resolve(aborted)
      }
      const abort = () => settle(true)
      for (const one of signals) one.addEventListener('abort', abort)
      work.then(
        () => settle(false),
        () => settle(false),
      )
    })
  }

  /** Puts each frame into the slot when it is due. Decoding is one frame ahead, and late frames are not waited for. */
  async #play(frames: AsyncIterable<Frame>): Promise<void> {
    let saidLate = false
    try {
      for await (const frame of frames) {
        if (this.#stopping.signal.aborted) return
        const waitMs = frame.captureMs - this.#clock.nowMs()
        if (waitMs > 0) await this.#clock.sleep(waitMs, this.#stopping.signal)
        if (this.#stopping.signal.aborted) return
        if (waitMs < -LATE_MS && !saidLate) {
          saidLate = true
          this.#log.warn(`${this.#source.name} is decoded more slowly than it should play: frames come late`)
        }
        if (this.#newest !== undefined) this.#dropped += 1
        // What a camera would say: the moment at which the picture came.
        this.#newest = { ...frame, captureMs: this.#clock.nowMs() }
        this.#wake()
      }
    } catch (error) {
      this.#failure = error
      this.#log.debug(`${this.#source.name} ended early: ${messageOf(error)}`)
    } finally {
      this.#end()
    }
  }

  #end(): void {
    this.#ended = true
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }
}
