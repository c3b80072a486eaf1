import { createRng } from '@kestrel/runtime'
import type { GroundHeight, VehicleState } from '../vehicle-state.js'
import { turnTowardsCourse } from './attitude.js'
import { Gusts } from './gusts.js'
import { type Leg, legsOf } from './legs.js'
import { limits } from './limits.js'
import type { Mission } from './schema.js'
import { dilate, limitSlopes, oddSamples, slopes, smooth, smoothingReach } from './smoothing.js'
import { alongLeg, cornerSpeeds, type TimedLeg, timeLegs } from './timing.js'
import { Trajectory } from './trajectory.js'

export interface Flight {
  /** From power-on to a few seconds after disarming, s. */
  readonly durationS: number
  readonly mission: Mission
  /** Height of home above mean sea level, m. */
  readonly homeZ: number
  /** The vehicle at a moment; before 0 and after `durationS` it stands on the ground. Pure: no order of questions matters. */
  stateAt(timeS: number): VehicleState
}

export interface FlightOptions {
  groundHeight: GroundHeight
  /** Height of home above mean sea level, m; without it that of the ground there. */
  homeZ?: number
  /** Gusts, the wind's direction and the heading on the ground differ by seed; the mission's way does not. */
  seed: number | string
  /** Least height above ground between take-off and landing, m. */
  clearanceM?: number
  /** Mean wind, m/s. */
  windMps?: number
}

/** From which moment on a phase and a mission item apply. */
export interface Stage {
  fromS: number
  phase: VehicleState['phase']
  item: number
}

const dt = 1 / limits.gridHz
const acrossWidth = oddSamples(limits.horizontalSmoothingS, limits.gridHz)
const upWidth = oddSamples(limits.verticalSmoothingS, limits.gridHz)
/** Standing still this long, s, lets the smoothed motion stand still too. */
const settleS = smoothingReach(acrossWidth) * dt + 0.2

/**
 * Plans the whole flight of a mission, once: the way over the ground with its speeds, smoothed in time so that acceleration and
 * jerk are bounded; the height above it, raised ahead of terrain that would come too close; the attitude that flies it; gusts.
 */
export function planFlight(mission: Mission, options: FlightOptions): Flight {
  const { groundHeight, seed, clearanceM = 15, windMps = 3 } = options
  const homeZ = options.homeZ ?? groundHeight(0, 0)
  const rng = createRng(`${seed}/flight`)
  const heading = 2 * Math.PI * rng.float()
  const windFrom = 2 * Math.PI * rng.float()
  const gusts = {
    x: new Gusts(rng, 0.15, 0.04, 0.4),
    y: new Gusts(rng, 0.15, 0.04, 0.4),
    z: new Gusts(rng, 0.06, 0.05, 0.5),
    roll: new Gusts(rng, 0.005, 0.3, 2.5),
    pitch: new Gusts(rng, 0.005, 0.3, 2.5),
    yaw: new Gusts(rng, 0.006, 0.08, 0.6),
  }

  // Over the ground, as if the flight began at 0 at the top of the take-off.
  const legs = legsOf(mission)
  const timed = withinAcceleration(legs)
  const over = overGround(timed)
  const samples = over.x.length

  // How long the climb takes depends on the height that the way needs at its start: the ground under the gusts' reach included.
  const gustM = Math.hypot(gusts.x.bound, gusts.y.bound)
  const floor = Float64Array.from({ length: samples }, (_, i) =>
    highestAround(groundHeight, over.x[i], over.y[i], gustM, clearanceM + gusts.z.bound + 0.1),
  )
  const wanted = over.up.map(up => homeZ + up)
  const raised = dilate(floor, smoothingReach(upWidth) + 1).map((least, i) => Math.max(least, wanted[i]))
  const height = limitSlopes(raised, limits.climbMps * dt, limits.descendMps * dt)

  const landing = { x: over.x[samples - 1], y: over.y[samples - 1] }
  const groundZ = groundHeight(landing.x, landing.y)
  const liftS = limits.armAtS + limits.idleS
  const climb = ramp(homeZ, height[0], limits.climbMps)
  const sink = ramp(height[samples - 1], groundZ, limits.descendMps, limits.touchdownFromM)
  const flightFrom = Math.round(liftS * limits.gridHz) + climb.length
  const touchdown = flightFrom + samples + sink.length + smoothingReach(upWidth)
  const total = touchdown + Math.ceil((limits.disarmAfterS + limits.afterS) * limits.gridHz)

  const spread = (values: Float64Array, before: (i: number) => number, after: (i: number) => number) =>
    Float64Array.from({ length: total }, (_, i) =>
      i < flightFrom
        ? before(i)
        : i < flightFrom + samples
          ? values[i - flightFrom]
          : after(i - flightFrom - samples),
    )
  const x = spread(
    over.x,
    () => 0,
    () => landing.x,
  )
  const y = spread(
    over.y,
    () => 0,
    () => landing.y,
  )
  const climbFrom = flightFrom - climb.length
  const z = smooth(
    spread(
      height,
      i => (i < climbFrom ? homeZ : climb[i - climbFrom]),
      i => sink[i] ?? groundZ,
    ),
    upWidth,
  )

  // The air moves the vehicle only while it flies.
  const touchdownS = touchdown * dt
  const gustFrom = liftS + 1
  const gustTo = touchdownS - smoothingReach(upWidth) * dt - 1
  const aloft = (timeS: number) => ease((timeS - gustFrom) / 4) * ease((gustTo - timeS) / 4)
  const still = { x: slopes(x, limits.gridHz), y: slopes(y, limits.gridHz) }
  const yaw = turnTowardsCourse(still.x, still.y, i => i >= flightFrom && i < flightFrom + samples, heading)
  for (let i = 0; i < total; i++) {
    const share = aloft(i * dt)
    x[i] += share * gusts.x.at(i * dt)
    y[i] += share * gusts.y.at(i * dt)
    z[i] += share * gusts.z.at(i * dt)
    yaw[i] += share * gusts.yaw.at(i * dt)
  }

  const stages: Stage[] = [
    { fromS: 0, phase: 'ground', item: 0 },
    // Where smoothing begins to lift it.
    { fromS: liftS - smoothingReach(upWidth) * dt, phase: 'take-off', item: 0 },
    ...timed.map(({ leg, startS }) => ({
      fromS: flightFrom * dt + startS,
      phase: leg.phase,
      item: leg.item,
    })),
    { fromS: (flightFrom + samples) * dt, phase: 'landing', item: mission.length - 1 },
    { fromS: touchdownS, phase: 'landed', item: mission.length - 1 },
  ]
  const trajectory = new Trajectory({
    x,
    y,
    z,
    yaw,
    stages,
    armed: { fromS: limits.armAtS, toS: touchdownS + limits.disarmAfterS },
    wind: { x: -windMps * Math.sin(windFrom), y: -windMps * Math.cos(windFrom) },
    aloft,
    jitter: { roll: t => gusts.roll.at(t), pitch: t => gusts.pitch.at(t) },
  })
  return { durationS: (total - 1) * dt, mission, homeZ, stateAt: timeS => trajectory.at(timeS) }
}

/** Times the legs so that corners close to each other, whose accelerations add up, are passed more slowly. */
function withinAcceleration(legs: Leg[]): TimedLeg[] {
  const corners = cornerSpeeds(legs)
  const reachS = (smoothingReach(acrossWidth) + 1) * dt
  for (let round = 0; ; round++) {
    const timed = timeLegs(legs, corners, settleS)
    if (round === 40) return timed
    const { x, y } = overGround(timed)
    const ax = slopes(slopes(x, limits.gridHz), limits.gridHz)
    const ay = slopes(slopes(y, limits.gridHz), limits.gridHz)
    const slower = new Set<number>()
    for (let i = 0; i < x.length; i++) {
      if (Math.hypot(ax[i], ay[i]) <= limits.horizontalMps2) continue
      timed.forEach(({ startS }, joint) => {
        if (Math.abs(startS - i * dt) <= reachS && corners[joint] > 0) slower.add(joint)
      })
    }
    if (slower.size === 0) return timed
    for (const joint of slower) corners[joint] = corners[joint] < 0.3 ? 0 : corners[joint] * 0.85
  }
}

/** The smoothed way over the ground and the wanted height above home, from the top of the take-off, at the grid's rate. */
function overGround(timed: TimedLeg[]): { x: Float64Array; y: Float64Array; up: Float64Array } {
  const endS = (timed.at(-1)?.endS ?? settleS) + settleS
  const n = Math.ceil(endS * limits.gridHz) + 1
  const [x, y, up] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)]
  let at = 0
  for (let i = 0; i < n && timed.length > 0; i++) {
    while (at < timed.length - 1 && timed[at].endS <= i * dt) at++
    const place = alongLeg(timed[at], i * dt)
    x[i] = place.x
    y[i] = place.y
    up[i] = place.upM
  }
  return { x: smooth(x, acrossWidth), y: smooth(y, acrossWidth), up }
}

/** Least height of the vehicle over a place that gusts may shift by `reach`. */
function highestAround(
  ground: GroundHeight,
  x: number,
  y: number,
  reach: number,
  clearanceM: number,
): number {
  return (
    clearanceM +
    Math.max(
      ground(x, y),
      ground(x - reach, y),
      ground(x + reach, y),
      ground(x, y - reach),
      ground(x, y + reach),
    )
  )
}

/** Heights from one to another at a steady rate, and the last `slowM` metres at the touchdown's, a sample each. */
function ramp(from: number, to: number, rateMps: number, slowM = 0): number[] {
  const heights: number[] = []
  const direction = Math.sign(to - from)
  for (let at = from; (to - at) * direction > 0; ) {
    heights.push(at)
    at += direction * dt * (Math.abs(to - at) < slowM ? limits.touchdownMps : rateMps)
  }
  return heights
}

/** From 0 to 1 with two continuous derivatives at either end. */
function ease(share: number): number {
  const s = Math.min(Math.max(share, 0), 1)
  return s * s * s * (s * (6 * s - 15) + 10)
}
