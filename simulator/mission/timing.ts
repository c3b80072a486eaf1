import type { Leg, Point } from './legs.js'
import { limits } from './limits.js'

/** A leg with its moments: speed rises from `v0` to `peak` and falls to `v1`, at the ramp's acceleration. */
export interface TimedLeg {
  leg: Leg
  startS: number
  endS: number
  v0: number
  v1: number
  peak: number
}

/**
 * The fastest speed at which each joint between legs can be passed, so that turning there, smoothed, stays within the corner's
 * acceleration; the first and last joints are stops. `legs.length + 1` values, m/s.
 */
export function cornerSpeeds(legs: Leg[]): Float64Array {
  // From smooth(): peak acceleration = 0.75 Δv / width.
  const changeMps = (limits.cornerMps2 * limits.horizontalSmoothingS) / 0.75
  return Float64Array.from({ length: legs.length + 1 }, (_, i) => {
    const exit = legs[i - 1]?.exit
    const entry = legs[i]?.entry
    if (exit === undefined || entry === undefined) return 0
    // |v_out - v_in| = 2 v sin(θ/2), with sin(θ/2) = |difference of the unit vectors| / 2.
    const turn = Math.hypot(entry.x - exit.x, entry.y - exit.y)
    const speed = Math.min(legs[i - 1].speedMps, legs[i].speedMps)
    return turn > 0 ? Math.min(speed, changeMps / turn) : speed
  })
}

/** Times every leg, the first of which starts at `startS`; no joint is passed faster than `corners` says. */
export function timeLegs(legs: Leg[], corners: Float64Array, startS: number): TimedLeg[] {
  const speeds = Float64Array.from(corners)
  const reachable = (from: number, leg: Leg) => Math.sqrt(from ** 2 + 2 * limits.rampMps2 * leg.lengthM)
  legs.forEach((leg, i) => {
    speeds[i + 1] = Math.min(speeds[i + 1], reachable(speeds[i], leg))
  })
  for (let i = legs.length - 1; i >= 0; i--)
    speeds[i] = Math.min(speeds[i], reachable(speeds[i + 1], legs[i]))
  let at = startS
  return legs.map((leg, i) => {
    const [v0, v1] = [speeds[i], speeds[i + 1]]
    const highest = Math.sqrt((2 * limits.rampMps2 * leg.lengthM + v0 ** 2 + v1 ** 2) / 2)
    const peak = Math.min(leg.speedMps, highest)
    const timed = { leg, startS: at, endS: at + durationOf(leg, v0, v1, peak), v0, v1, peak }
    at = timed.endS
    return timed
  })
}

function durationOf(leg: Leg, v0: number, v1: number, peak: number): number {
  if (leg.lengthM === 0) return leg.holdS
  const a = limits.rampMps2
  const rampsM = (2 * peak ** 2 - v0 ** 2 - v1 ** 2) / (2 * a)
  return (2 * peak - v0 - v1) / a + Math.max(0, leg.lengthM - rampsM) / peak
}

/** Place and wanted height above home at a moment of a leg, before smoothing. */
export function alongLeg(
  { leg, startS, endS, v0, v1, peak }: TimedLeg,
  timeS: number,
): Point & { upM: number } {
  const t = Math.min(Math.max(timeS - startS, 0), endS - startS)
  const rise = leg.toM - leg.fromM
  if (leg.lengthM === 0) return { ...leg.at(0), upM: leg.fromM + (rise * t) / leg.holdS }
  const a = limits.rampMps2
  const upS = (peak - v0) / a
  const left = endS - startS - t
  const downS = (peak - v1) / a
  const s =
    t < upS
      ? v0 * t + (a * t * t) / 2
      : left < downS
        ? leg.lengthM - (v1 * left + (a * left * left) / 2)
        : (v0 + peak) * 0.5 * upS + peak * (t - upS)
  return { ...leg.at(s), upM: leg.fromM + (rise * s) / leg.lengthM }
}
