import type { Command, CommandResult } from '@kestrel/link'
import { type Log, messageOf } from '@kestrel/runtime'
import { FASTEST_FPS, SLOWEST_FPS } from '../vehicle/pilot.js'
import type { LearningControls } from './learning-controls.js'

export type CommandAnswer = Omit<CommandResult, '$typeName' | '$unknown' | 'learning'> & {
  learning: ReturnType<LearningControls['state']>
}

/** Does what the ground station's people order, one after the other, and says what came of it. */
export class Commands {
  readonly #controls: LearningControls
  readonly #version: () => number
  readonly #log: Log
  #tail: Promise<unknown> = Promise.resolve()

  /** @param options.version of what flies */
  constructor(options: { controls: LearningControls; version: () => number; log: Log }) {
    this.#controls = options.controls
    this.#version = options.version
    this.#log = options.log.child('commands')
  }

  /** Never rejects. */
  run(command: Command): Promise<CommandAnswer> {
    const answer = this.#tail.then(() => this.#run(command))
    this.#tail = answer
    return answer
  }

  async #run({ id, action }: Command): Promise<CommandAnswer> {
    let done = false
    let detail: string
    try {
      detail = await this.#do(action)
      done = true
      this.#log.info(`Ordered from the ground: ${detail}`)
    } catch (error) {
      detail = messageOf(error)
      this.#log.warn(`An order from the ground was not followed: ${detail}`)
    }
    return { id, done, detail, modelVersion: this.#version(), learning: this.#controls.state() }
  }

  /** @returns what was done @throws Error that says why it was not */
  async #do(action: Command['action']): Promise<string> {
    const controls = this.#controls
    switch (action.case) {
      case 'learning':
        controls.learning.set(action.value)
        return action.value ? 'learning goes on' : 'learning is paused'
      case 'sampling': {
        const { minFps, maxFps } = action.value
        if (!(minFps >= SLOWEST_FPS && minFps <= maxFps && maxFps <= FASTEST_FPS)) {
          throw new Error(
            `limits of ${minFps} to ${maxFps} frames/s; expected ${SLOWEST_FPS} to ${FASTEST_FPS}, the lower one first`,
          )
        }
        controls.samplingLimits.set({ minFps, maxFps })
        return `between ${round(minFps)} and ${round(maxFps)} frames/s are sampled`
      }
      case 'rollBack': {
        const { fromVersion } = action.value
        const flown = this.#version()
        if (flown !== fromVersion) {
          throw new Error(`version ${flown} flies, not version ${fromVersion}: nothing was rolled back`)
        }
        const { version } = await controls.rollBack()
        return `version ${version} flies again instead of version ${fromVersion}`
      }
      case 'saveCheckpoint': {
        const { version, file } = await controls.checkpoint()
        return `version ${version} is kept on the drone as ${file}`
      }
      default:
        throw new Error('an order that this software does not know: update kestrel-agent')
    }
  }
}

/** float32 on the wire: 0.1 comes as 0.10000000149. */
function round(value: number): number {
  return Number(value.toPrecision(4))
}
