import { common } from 'mavlink-mappings'
import type { CommandHandler } from './own-commands.js'
import type { OwnParameter } from './own-parameters.js'

const { MavCmd, MavResult } = common

/** What a pilot can change from the ground station. */
export interface PilotControls {
  /** Off: no frame is sampled, no update is taken; the drone labels on with the weights that it has. */
  learning: { get(): boolean; set(on: boolean): void }
  /** Frames/s. */
  samplingLimits: {
    get(): { minFps: number; maxFps: number }
    set(limits: { minFps: number; maxFps: number }): void
  }
  /** No sampling on the ground while disarmed. */
  pauseOnGround: { get(): boolean; set(on: boolean): void }
  /** Goes back to the weights before the last update. @returns what flies then; rejects where there is nothing to go back to */
  rollBack?: () => Promise<{ version: number }>
  /** Keeps the present weights as a model of their own. @returns their version and where they are */
  checkpoint?: () => Promise<{ version: number; file: string }>
}

/** Bounds of the sampling limits, frames/s. */
export const SLOWEST_FPS = 0.01
export const FASTEST_FPS = 30

/** The parameters of our component, as a ground station lists them. */
export function pilotParameters({ learning, samplingLimits, pauseOnGround }: PilotControls): OwnParameter[] {
  const limit = (name: string, which: 'minFps' | 'maxFps'): OwnParameter => ({
    name,
    least: SLOWEST_FPS,
    most: FASTEST_FPS,
    get: () => samplingLimits.get()[which],
    set: value => {
      const { minFps, maxFps } = samplingLimits.get()
      // The one that was set holds; the other gives way.
      samplingLimits.set(
        which === 'minFps'
          ? { minFps: value, maxFps: Math.max(maxFps, value) }
          : { maxFps: value, minFps: Math.min(minFps, value) },
      )
    },
  })
  const flag = (name: string, { get, set }: { get(): boolean; set(on: boolean): void }): OwnParameter => ({
    name,
    least: 0,
    most: 1,
    get: () => (get() ? 1 : 0),
    set: value => set(value >= 0.5),
  })
  return [
    flag('KES_LEARN', learning),
    limit('KES_FPS_MIN', 'minFps'),
    limit('KES_FPS_MAX', 'maxFps'),
    flag('KES_GND_PAUSE', pauseOnGround),
  ]
}

/**
 * MAV_CMD_USER_1 (31010) pauses or resumes learning, USER_2 rolls back, USER_3 keeps a checkpoint: numbers that MAVLink leaves to whoever
 * is addressed. See docs/vehicle-link.md.
 */
export function pilotCommands(controls: PilotControls, say: (text: string) => void): CommandHandler {
  const learn = (param: number) => {
    if (param !== 0 && param !== 1) return MavResult.DENIED
    controls.learning.set(param === 1)
    return MavResult.ACCEPTED
  }
  const attempt = async <T>(what: string, run: () => Promise<T>, told: (result: T) => string) => {
    try {
      say(told(await run()))
      return MavResult.ACCEPTED
    } catch (error) {
      say(`${what} failed: ${error instanceof Error ? error.message : error}`)
      return MavResult.FAILED
    }
  }
  return ({ command, params }) => {
    switch (command) {
      case MavCmd.USER_1:
        return learn(params[0])
      case MavCmd.USER_2:
        if (controls.rollBack === undefined) return MavResult.UNSUPPORTED
        return attempt('roll back', controls.rollBack, ({ version }) => `rolled back to version ${version}`)
      case MavCmd.USER_3:
        if (controls.checkpoint === undefined) return MavResult.UNSUPPORTED
        return attempt('checkpoint', controls.checkpoint, ({ version }) => `kept version ${version}`)
      default:
        return undefined
    }
  }
}
