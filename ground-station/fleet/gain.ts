/** Weight of the newest phase in the running mean. */
const NEWEST = 0.3

/** What a phase is taken to bring before one was measured, mIoU 0..1: first phases bring most, so newcomers go first. */
const FIRST_GAIN = 0.05

/** Least gain of a phase at r = 1 frame/s, mIoU 0..1: a scene that changes may need learning at any time. */
const LEAST_GAIN = 0.003

/**
 * What phases bring one drone, estimated from recent hold-outs: by how much the trained weights beat those that fly on the newest
 * frames, per second since the phase before. That is also how fast the scene runs away from what flies.
 */
export class Gain {
  #perS: number | undefined

  /**
   * @param gain mIoU 0..1 on the hold-out after training less before; undefined where it was not measured
   * @param elapsedS since the phase before
   */
  observe(gain: number | undefined, elapsedS: number): void {
    if (gain === undefined || !(elapsedS > 0)) return
    const now = Math.max(0, gain) / elapsedS
    this.#perS = this.#perS === undefined ? now : this.#perS + NEWEST * (now - this.#perS)
  }

  /**
   * mIoU 0..1 per second that the drone falls behind without phases.
   *
   * @param samplingFps r: ASR raises it where the labels of consecutive frames (φ) differ much
   * @param periodS T_update as its session wants it
   */
  perS(samplingFps: number, periodS: number): number {
    const least = (LEAST_GAIN * Math.min(1, samplingFps)) / periodS
    return Math.max(this.#perS ?? FIRST_GAIN / periodS, least)
  }
}

/**
 * The weight of a drone's T_update where time goes to those whom it makes better. A drone that falls behind by δ each second flies
 * on average δ·T/2 below what it could; a phase costs c. The least sum of δ·T/2 with Σ c/T fixed has T ∝ √(c/δ).
 *
 * @param costS c
 * @param gainPerS δ
 */
export function gainWeight(costS: number, gainPerS: number): number {
  return Math.sqrt(costS / gainPerS)
}
