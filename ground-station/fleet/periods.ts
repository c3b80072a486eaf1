/** What teaching one drone takes. */
export interface Need {
  /** Time of one phase and of the labels of its frames, s. */
  costS: number
  /** T_update as the drone's own session wants it (ATR), s: it never gets a shorter one. */
  periodS: number
  /** Where time is short, T_update grows in proportion to this. */
  weight: number
}

/** Halvings of an interval: far more exact than any cost is known. */
const STEPS = 60

/**
 * T_update for each drone, s, so that all of them together take no more than `load` of the time. Where there is enough of it,
 * everybody has what it wants. Where not, T = max(own, λ·weight), so that those who want longer periods (a calm scene, ATR) leave
 * their time to the others; and no drone gets more than `patience` times the period that equal weights would give it.
 *
 * @param options.load share of the time, 0..1
 */
export function sharePeriods(needs: Need[], options: { load: number; patience: number }): number[] {
  const { load, patience } = options
  const equal = leastPeriods(
    needs.map(need => ({ ...need, weight: 1, limitS: Number.POSITIVE_INFINITY })),
    load,
  )
  return leastPeriods(
    needs.map((need, i) => ({ ...need, limitS: patience * equal[i] })),
    load,
  )
}

/** The periods of the smallest λ that keeps to the load, none above its limit. */
function leastPeriods(needs: (Need & { limitS: number })[], load: number): number[] {
  const periods = (lambda: number) =>
    needs.map(({ periodS, weight, limitS }) => Math.min(limitS, Math.max(periodS, lambda * weight)))
  const fits = (lambda: number) =>
    periods(lambda).reduce((sum, periodS, i) => sum + needs[i].costS / periodS, 0) <= load
  if (fits(0)) return periods(0)
  let [low, high] = [0, 1]
  while (!fits(high) && high < Number.MAX_VALUE / 2) high *= 2
  for (let i = 0; i < STEPS; i++) {
    const middle = (low + high) / 2
    if (fits(middle)) high = middle
    else low = middle
  }
  return periods(high)
}
