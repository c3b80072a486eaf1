import { Scaler } from '@kestrel/link'
import type { LabelMap } from '@kestrel/models'
import type { Clock } from '@kestrel/runtime'
import type { Camera, Frame, Pace } from '../camera/camera.js'
import type { Labeller } from './host.js'
import { type LatencySummary, LatencyWindow } from './latency.js'

export interface PipelineOptions {
  camera: Camera
  labeller: Labeller
  /** The student's size. */
  width: number
  height: number
  clock: Clock
  /** In real time latency counts from the capture; a file read at full speed has no such moment, so from when it was read. */
  pace: Pace
  /** Whether to label a frame; absent: all. */
  take?: (frame: Frame) => boolean
  /** Called every second for as long as no frame comes; the student is idle then, not hung. */
  onWait?: () => void
  /** Called for each frame while it is being labelled; must return soon and not throw. */
  onFrame?: (frame: Frame) => void
  /** Called with the labels, which are overwritten by the next frame's. */
  onLabels?: (frame: Frame, labels: LabelMap, latencyMs: number) => void
}

/** How long the wait for a frame is before it is said, ms. */
const WAIT_MS = 1000

/** Camera → scaled to the student's size → labels, frame after frame, always the newest. */
export class Pipeline {
  readonly #options: PipelineOptions
  readonly #scaler = new Scaler()
  readonly #latency = new LatencyWindow()
  readonly #abort = new AbortController()
  #running: Promise<void> | undefined
  #frames = 0

  constructor(options: PipelineOptions) {
    this.#options = options
  }

  /** Frames labelled so far. */
  get frames(): number {
    return this.#frames
  }

  /** Speed over the last 10 s. */
  summary(): LatencySummary {
    return this.#latency.summary(this.#options.clock.nowMs())
  }

  /** Runs until the source ends or `stop`; resolves then. Rejects when a frame cannot be labelled: the student is gone. */
  run(): Promise<void> {
    return (this.#running ??= this.#run().finally(() => this.#scaler.dispose()))
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    // Whoever called `run` hears of its failure.
    await this.#running?.catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { labeller, width, height, clock, pace, take, onFrame, onLabels } = this.#options
    while (!this.#abort.signal.aborted) {
      const frame = await this.#nextFrame()
      if (frame === undefined) return
      if (take?.(frame) === false) continue
      const beganMs = pace === 'real-time' ? frame.captureMs : clock.nowMs()
      const { image } = frame
      const fits = image.width === width && image.height === height
      const pending = labeller.label(fits ? image : this.#scaler.scale(image, width, height))
      // Sampling happens in the shadow of inference.
      onFrame?.(frame)
      const labels = await pending
      const nowMs = clock.nowMs()
      this.#frames += 1
      this.#latency.add(nowMs, nowMs - beganMs)
      onLabels?.(frame, labels, nowMs - beganMs)
    }
  }

  /** The camera's next frame; undefined at its end. */
  async #nextFrame(): Promise<Frame | undefined> {
    const { camera, clock, onWait } = this.#options
    const next = camera.next(this.#abort.signal)
    if (onWait === undefined) return next
    const arrived = new AbortController()
    const coming = next.finally(() => arrived.abort())
    const waiting = (async () => {
      while (!arrived.signal.aborted) {
        await clock.sleep(WAIT_MS, arrived.signal)
        if (!arrived.signal.aborted) onWait()
      }
    })()
    const [frame] = await Promise.all([coming, waiting])
    return frame
  }
}
