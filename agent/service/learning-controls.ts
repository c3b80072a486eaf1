import { join } from 'node:path'
import type { LearningState } from '@kestrel/link'
import type { Log } from '@kestrel/runtime'
import { writeCheckpoint } from '../student/checkpoint.js'
import type { PilotControls } from '../vehicle/pilot.js'
import type { StudentModule } from './student-module.js'
import type { UplinkModule } from './uplink-module.js'

const PAUSED = 'paused by the pilot'

/** What a person can change about the learning in flight, by MAVLink or from the ground station alike; it needs no autopilot. */
export class LearningControls implements Omit<PilotControls, 'pauseOnGround'> {
  readonly #student: StudentModule
  readonly #uplink: UplinkModule
  readonly #stateDir: string
  readonly #log: Log
  readonly #listeners: ((on: boolean) => void)[] = []
  #learning = true

  constructor(options: { student: StudentModule; uplink: UplinkModule; stateDir: string; log: Log }) {
    this.#student = options.student
    this.#uplink = options.uplink
    this.#stateDir = options.stateDir
    this.#log = options.log
  }

  readonly learning = { get: () => this.#learning, set: (on: boolean) => this.#setLearning(on) }

  readonly samplingLimits = {
    get: () => this.#uplink.limits,
    set: (limits: { minFps: number; maxFps: number }) => {
      this.#uplink.limits = limits
    },
  }

  /** Calls back whenever learning is paused or resumed. */
  onLearning(listener: (on: boolean) => void): void {
    this.#listeners.push(listener)
  }

  rollBack = async (): Promise<{ version: number }> => {
    const { rolledBack, to, detail } = await this.#student.rollBack()
    if (!rolledBack) throw new Error(detail)
    return { version: to }
  }

  checkpoint = async (): Promise<{ version: number; file: string }> => {
    const { version, parameters } = this.#student.applier
    const folder = join(this.#stateDir, 'checkpoints')
    const file = writeCheckpoint(folder, this.#student.student, { version, parameters })
    this.#log.info(`Version ${version} is kept as ${file}`)
    return { version, file }
  }

  /** For the ground. */
  state(): Omit<LearningState, '$typeName' | '$unknown'> {
    const { minFps, maxFps } = this.#uplink.limits
    return { paused: !this.#learning, minFps, maxFps, holds: this.#uplink.holds }
  }

  #setLearning(on: boolean): void {
    if (on === this.#learning) return
    this.#learning = on
    this.#uplink.hold(PAUSED, !on)
    for (const listener of this.#listeners) listener(on)
  }
}
