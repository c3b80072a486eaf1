import { Gain, gainWeight } from './gain.js'
import type { FleetOptions } from './options.js'
import type { Need } from './periods.js'

/** Weight of the newest measurement in a running mean. */
const NEWEST = 0.3

/** What teaching one drone takes and brings, measured as it goes. */
export class Lesson {
  /** r, frames/s, and T_update, s, as the drone's session wants them (ASR, ATR). */
  samplingFps = 1
  ownPeriodS = 0
  /** T_update that it gets, s: at least its own. */
  periodS = 0
  readonly #gain = new Gain()
  /** Of a frame's label and of a phase that trained, s. */
  #labelS: number | undefined
  #phaseS: number | undefined

  /** What the session wants from now on. */
  want({ samplingFps, updatePeriodS }: { samplingFps: number; updatePeriodS: number }): void {
    // A period that was stretched stays so until the time is shared anew.
    const stretch = this.ownPeriodS > 0 ? this.periodS / this.ownPeriodS : 1
    this.samplingFps = samplingFps
    this.ownPeriodS = updatePeriodS
    this.periodS = stretch * updatePeriodS
  }

  /** r that it is told, frames/s: a stretched period brings as many frames as its own would. */
  get toldFps(): number {
    return (this.samplingFps * this.ownPeriodS) / this.periodS
  }

  labelled(frames: number, tookS: number): void {
    if (frames > 0) this.#labelS = mean(this.#labelS, tookS / frames)
  }

  /** @param gain mIoU 0..1 on the hold-out after a phase that trained, less before */
  trained(tookS: number, gain: number | undefined, elapsedS: number): void {
    this.#phaseS = mean(this.#phaseS, tookS)
    this.#gain.observe(gain, elapsedS)
  }

  /** Time of a phase and the labels of its frames, s; undefined before both were measured. */
  get costS(): number | undefined {
    const { samplingFps, ownPeriodS } = this
    if (this.#phaseS === undefined || this.#labelS === undefined) return undefined
    return this.#phaseS + samplingFps * ownPeriodS * this.#labelS
  }

  /** mIoU 0..1 per second that phases bring. */
  get gainPerS(): number {
    return this.#gain.perS(this.samplingFps, this.ownPeriodS)
  }

  /** @param costS where the own one is not known yet */
  need(policy: FleetOptions['policy'], costS: number): Need {
    const cost = this.costS ?? costS
    const weight = policy === 'round-robin' ? 1 : gainWeight(cost, this.gainPerS)
    return { costS: cost, periodS: this.ownPeriodS, weight }
  }
}

function mean(before: number | undefined, now: number): number {
  return before === undefined ? now : before + NEWEST * (now - before)
}
