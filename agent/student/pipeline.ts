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
  /** Called for each frame while it is being labelled; must return soon and not throw. */
  onFrame?: (frame: Frame) => void
  /** Called with the labels, which are overwritten by the next frame's. */
  onLabels?: (frame: Frame, labels: LabelMap, latencyMs: number) => void
}

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
    const { camera, labeller, width, height, clock, pace, onFrame, onLabels } = this.#options
    while (!this.#abort.signal.aborted) {
      const frame = await camera.next(this.#abort.signal)
      if (frame === undefined) return
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
}
