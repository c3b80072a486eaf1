import type { SessionOptions } from './options.js'

/**
 * The next sampling rate of ASR (the paper's adaptive frame sampling; DESIGN.md section 3), once every T_update:
 * `r ← clip(r − 0.2·tanh(20·(φ − 0.6)), 0.1, 1)`. Labels that agree (φ near 1) mean that little changes: sample less.
 *
 * @param rate r, frames/s (a rate, never a fraction of the camera's frames)
 * @param phi φ, mean mIoU between the teacher's labels of consecutive sampled frames, 0..1; undefined where the
 *   period had no two frames to compare, and r stays
 * @returns r of the next period, frames/s
 */
export function nextSamplingRate(rate: number, phi: number | undefined, asr: SessionOptions['asr']): number {
  if (!asr.enabled) return asr.fps
  const change = phi === undefined ? 0 : asr.step * Math.tanh(asr.steepness * (phi - asr.target))
  return Math.min(Math.max(rate - change, asr.minFps), Math.max(asr.minFps, asr.maxFps))
}
