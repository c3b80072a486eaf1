import type { Strain } from './strain.js'

export interface GovernorOptions {
  /** Never fewer frames/s than this. */
  minFps: number
  /** How long a step down gets to show its effect, ms. */
  settleMs?: number
  /** How long all must be calm before frames come back, ms; doubles each time that was too early. */
  recoverMs?: number
}

/** Of a camera that does not say. */
const USUAL_FPS = 60

/** A step back up, and how far the patience may grow. */
const RECOVERY = Math.SQRT2
const MAX_PATIENCE = 4

/**
 * Decides how many frames are labelled when the board is throttled or over a ceiling: the frame rate halves at once and again
 * until the strain ends, and comes back in small steps, ever more patiently where it came back too early. A state machine without
 * a clock of its own.
 */
export class Governor {
  readonly #minFps: number
  readonly #settleMs: number
  readonly #recoverMs: number
  #limitFps = Infinity
  #steppedMs = -Infinity
  #calmSinceMs: number | undefined
  #raisedMs: number | undefined
  #patience = 1

  constructor(options: GovernorOptions) {
    const { minFps, settleMs = 3000, recoverMs = 10_000 } = options
    this.#minFps = minFps
    this.#settleMs = settleMs
    this.#recoverMs = recoverMs
  }

  /** Frames/s; Infinity where there is no limit. */
  get limitFps(): number {
    return this.#limitFps
  }

  /**
   * @param nowMs rises
   * @param rates.labelledFps frames/s of late; 0 where none came
   * @param rates.cameraFps from this rate on there is no limit; 0 where it is not known
   * @returns the limit from here on
   */
  update(nowMs: number, strain: Strain, rates: { labelledFps: number; cameraFps: number }): number {
    const cameraFps = rates.cameraFps > 0 ? rates.cameraFps : USUAL_FPS
    if (strain.over.length > 0) this.#down(nowMs, rates.labelledFps, cameraFps)
    else if (strain.calm) this.#up(nowMs, cameraFps)
    else this.#calmSinceMs = undefined
    return this.#limitFps
  }

  #down(nowMs: number, fps: number, cameraFps: number): void {
    this.#calmSinceMs = undefined
    if (nowMs - this.#steppedMs < this.#settleMs) return
    // The strain came back with the frames: wait longer before the next try.
    if (this.#raisedMs !== undefined && nowMs - this.#raisedMs < this.#recoverMs * this.#patience) {
      this.#patience = Math.min(MAX_PATIENCE, 2 * this.#patience)
    }
    this.#raisedMs = undefined
    // A student slower than the camera would not notice a limit above its own rate.
    const now = Math.min(this.#limitFps, cameraFps, fps > 0 ? fps : Infinity)
    this.#limitFps = Math.max(Math.min(this.#minFps, cameraFps), now / 2)
    this.#steppedMs = nowMs
  }

  #up(nowMs: number, cameraFps: number): void {
    if (this.#limitFps === Infinity) {
      // It held for as long as it was waited for: what was learned of this strain is past.
      if (this.#raisedMs !== undefined && nowMs - this.#raisedMs >= this.#recoverMs * this.#patience) {
        this.#raisedMs = undefined
        this.#patience = 1
      }
      return
    }
    this.#calmSinceMs ??= nowMs
    if (nowMs - this.#calmSinceMs < this.#recoverMs * this.#patience) return
    const limit = this.#limitFps * RECOVERY
    this.#limitFps = limit >= cameraFps ? Infinity : limit
    this.#raisedMs = this.#calmSinceMs = nowMs
  }
}
