import type { LabelMap } from '@kestrel/models'
import type { Clock } from '@kestrel/runtime'
import type { Frame } from '../camera/camera.js'
import type { LatencySummary } from '../student/latency.js'
import { Pipeline, type PipelineOptions } from '../student/pipeline.js'
import type { CameraModule } from './camera-module.js'
import type { AgentConfig } from './config.js'
import type { Module } from './modules.js'
import type { StudentModule } from './student-module.js'

/** A frame and what the student made of it. */
export interface LabelledFrame {
  frame: Frame
  /** Overwritten by the next frame's. */
  labels: LabelMap
  latencyMs: number
  /** Of the weights that made the labels. */
  modelVersion: number
}

/** What happens with a frame on its way; see `PipelineOptions`. */
type FlightHooks = Pick<PipelineOptions, 'take' | 'onFrame' | 'onWait'>

/** Frames through the student until the source ends. */
export class FlightModule implements Module {
  readonly name = 'flight'
  /** Resolves when the source has ended, or the module was stopped; rejects when the student is gone. */
  readonly finished: Promise<void>
  readonly #config: AgentConfig
  readonly #student: StudentModule
  readonly #camera: CameraModule
  readonly #hooks: FlightHooks
  readonly #onLabels: (labelled: LabelledFrame) => void
  readonly #clock: Clock
  #pipeline: Pipeline | undefined
  #finish!: (outcome: Promise<void>) => void

  constructor(
    config: AgentConfig,
    options: {
      student: StudentModule
      camera: CameraModule
      /** Must return soon and not throw. */
      onLabels: (labelled: LabelledFrame) => void
      clock: Clock
    } & FlightHooks,
  ) {
    this.#config = config
    this.#student = options.student
    this.#camera = options.camera
    const { take, onFrame, onWait } = options
    this.#hooks = { take, onFrame, onWait }
    this.#onLabels = options.onLabels
    this.#clock = options.clock
    this.finished = new Promise(resolve => {
      this.#finish = resolve
    })
    // Whoever waits for it hears of a failure; it must not end the process where nobody does yet.
    this.finished.catch(() => undefined)
  }

  get started(): boolean {
    return this.#pipeline !== undefined
  }

  get frames(): number {
    return this.#pipeline?.frames ?? 0
  }

  summary(): LatencySummary {
    return this.#pipeline?.summary() ?? { fps: 0, p50Ms: 0, p99Ms: 0 }
  }

  start(): void {
    const { width, height } = this.#student.student.input
    // Labelling has begun when `onFrame` is called: weights that are swapped in from here on see the next frame.
    let modelVersion = 0
    this.#pipeline = new Pipeline({
      camera: this.#camera.camera,
      labeller: this.#student.pair,
      width,
      height,
      clock: this.#clock,
      pace: this.#config.camera.pace,
      ...this.#hooks,
      onFrame: frame => {
        modelVersion = this.#student.applier.version
        this.#hooks.onFrame?.(frame)
      },
      onLabels: (frame, labels, latencyMs) => this.#onLabels({ frame, labels, latencyMs, modelVersion }),
    })
    this.#finish(this.#pipeline.run())
  }

  async stop(): Promise<void> {
    await this.#pipeline?.stop()
  }
}
