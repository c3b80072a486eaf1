import type { OutgoingUpdate } from './chain.js'
import type { LiveScores } from './swap-watch.js'

/** What a phase did. */
export interface PhaseReport {
  /** Number of the phase, from 1. */
  phase: number
  trained: boolean
  iterations: number
  /** Mean loss of the phase's iterations; NaN where none was trained. */
  loss: number
  /** Frames in the replay buffer, and those of them that judged this phase. */
  frames: number
  heldOut: number
  /** mIoU 0..1 on the hold-out: of what the drone flies, and of what was trained; undefined where it was not measured. */
  holdOutBefore?: number
  holdOutAfter?: number
  /** How the swap before turned out on the frames of this phase and those since it, where one is watched. */
  live?: LiveScores
  /** An update is to be sent: `update`. */
  sent: boolean
  update?: OutgoingUpdate
  /** r, frames/s, and T_update, s, from now on. */
  samplingFps: number
  updatePeriodS: number
  /** φ of the period, where there was something to compare. */
  phi?: number
  /** How long the phase took, ms. */
  durationMs: number
  /** Why nothing was trained or sent, in a sentence for people. */
  reason?: string
}

/** The drone's answer to an update. */
export interface UpdateAnswer {
  /** Version of the update. */
  version: number
  applied: boolean
  /** SHA-256 of what the drone flies now; empty where it does not say. */
  digest: Uint8Array
  /** Version of what the drone flies now; by default `version` if applied, else as before. */
  modelVersion?: number
  reason?: string
  /** As in `ModelReport`. */
  rolledBack?: readonly Uint8Array[]
}
