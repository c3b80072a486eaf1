import type { VehicleState } from '../vehicle-state.js'
import { limits } from './limits.js'
import type { Mission } from './schema.js'

export interface Point {
  x: number
  y: number
}

/** One piece of the way over the ground: a line or an arc of `lengthM`, or a stop of `holdS` where the length is 0. */
export interface Leg {
  item: number
  phase: VehicleState['phase']
  lengthM: number
  /** No faster than this, m/s. */
  speedMps: number
  holdS: number
  /** Where the vehicle is after `s` metres. */
  at(s: number): Point
  /** Unit vectors of the course in and out; undefined for a stop. */
  entry?: Point
  exit?: Point
  /** Wanted height above home at both ends, m; between them it changes evenly. */
  fromM: number
  toM: number
}

/** Lines shorter than this are stops, m. */
const shortestM = 0.5

/** The mission between the top of the take-off and the start of the landing. */
export function legsOf(mission: Mission): Leg[] {
  const builder = new LegBuilder()
  for (const [index, item] of mission.entries()) {
    builder.item = index
    if (item.type === 'take-off') builder.altitudeM = item.altitudeM
    if (item.type === 'waypoint') builder.line('mission', item, item.speedMps, item.altitudeM)
    if (item.type === 'loiter') builder.loiter(item.seconds, item.radiusM)
    if (item.type === 'return') builder.line('return', { x: 0, y: 0 }, item.speedMps, builder.altitudeM)
  }
  return builder.legs
}

class LegBuilder {
  readonly legs: Leg[] = []
  item = 0
  altitudeM = 0
  #at: Point = { x: 0, y: 0 }

  line(phase: Leg['phase'], to: Point, speedMps: number, altitudeM: number) {
    const from = this.#at
    const [dx, dy] = [to.x - from.x, to.y - from.y]
    const lengthM = Math.hypot(dx, dy)
    const climbM = altitudeM - this.altitudeM
    const rate = climbM > 0 ? limits.climbMps : limits.descendMps
    const climbS = Math.abs(climbM) / rate
    if (lengthM < shortestM) this.hold(phase, Math.max(climbS, 1), altitudeM)
    else {
      const course = { x: dx / lengthM, y: dy / lengthM }
      this.#add({
        phase,
        lengthM,
        // A steep leg is flown as slowly as its climb needs.
        speedMps: climbS > 0 ? Math.min(speedMps, lengthM / climbS) : speedMps,
        at: s => ({ x: from.x + course.x * s, y: from.y + course.y * s }),
        entry: course,
        exit: course,
        toM: altitudeM,
      })
      this.#at = { x: to.x, y: to.y }
    }
  }

  hold(phase: Leg['phase'], holdS: number, altitudeM = this.altitudeM) {
    const at = this.#at
    this.#add({ phase, lengthM: 0, speedMps: 0, holdS, at: () => at, toM: altitudeM })
  }

  /** Out to the circle the way the vehicle was going, then clockwise around; the flight goes on from where the time is up. */
  loiter(seconds: number, radius: number) {
    if (radius === 0) {
      this.hold('loiter', seconds)
      return
    }
    const center = this.#at
    const course = this.legs.findLast(leg => leg.exit !== undefined)?.exit ?? { x: 0, y: 1 }
    const speedMps = Math.min(limits.circleRps * radius, Math.sqrt(limits.circleMps2 * radius), 15)
    const rim = { x: center.x + radius * course.x, y: center.y + radius * course.y }
    this.line('loiter', rim, speedMps, this.altitudeM)
    const bearing = Math.atan2(course.x, course.y)
    const lengthM = seconds * speedMps
    const at = (s: number) => {
      const angle = bearing + s / radius
      return { x: center.x + radius * Math.sin(angle), y: center.y + radius * Math.cos(angle) }
    }
    const tangent = (s: number) => {
      const angle = bearing + s / radius
      return { x: Math.cos(angle), y: -Math.sin(angle) }
    }
    this.#add({
      phase: 'loiter',
      lengthM,
      speedMps,
      at,
      entry: tangent(0),
      exit: tangent(lengthM),
      toM: this.altitudeM,
    })
    this.#at = at(lengthM)
  }

  #add(leg: Omit<Leg, 'item' | 'fromM' | 'holdS'> & { holdS?: number }) {
    this.legs.push({ holdS: 0, ...leg, item: this.item, fromM: this.altitudeM })
    this.altitudeM = leg.toM
  }
}
