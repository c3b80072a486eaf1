import type { SessionOptions } from './options.js'

/** The memory of ATR: T_update in s and the sampling rates of the last phases, frames/s, oldest first. */
export interface TrainingRate {
  periodS: number
  rates: number[]
}

/**
 * The next training period of ATR (the paper's adaptive training rate; DESIGN.md section 3), once a phase: with the mean of
 * the last 5 sampling rates below 0.25 frames/s T_update grows by 2 s, to at most 6 × the base; above 0.35 it is the base
 * again; in between it stays. Nothing changes before the window has 5 rates.
 *
 * @param rate r of the phase that ends, frames/s
 * @param baseS T_update as configured, s
 */
export function nextTrainingRate(
  state: TrainingRate,
  rate: number,
  baseS: number,
  atr: SessionOptions['atr'],
): TrainingRate {
  const rates = [...state.rates, rate].slice(-atr.window)
  if (!atr.enabled) return { periodS: baseS, rates }
  const mean = rates.reduce((sum, value) => sum + value, 0) / rates.length
  let { periodS } = state
  if (rates.length === atr.window && mean < atr.slowBelowFps) {
    periodS = Math.min(periodS + atr.stepS, atr.maxFactor * baseS)
  } else if (rates.length === atr.window && mean > atr.baseAboveFps) {
    periodS = baseS
  }
  return { periodS, rates }
}
