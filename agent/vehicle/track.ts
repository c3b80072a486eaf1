import { type Attitude, type BodyRates, between, turned } from './attitude.js'
import { Series, type Timed } from './series.js'

/** Where the vehicle is and how fast; degrees, metres, m/s. */
export interface Position {
  latitude: number
  longitude: number
  /** Above mean sea level. */
  altitudeM: number
  /** Above home. */
  heightM: number
  northMps: number
  eastMps: number
  downMps: number
}

export interface Motion {
  attitude: Attitude
  rates: BodyRates
}

/** Where the vehicle was at one moment. */
export interface Pose {
  position?: Position
  attitude?: Attitude
}

/** Longer holes are not bridged, ms. */
const MOST_BETWEEN_MS = 2000
/** What is newer than the newest message by more than this is not known, ms. */
const MOST_BEYOND_MS = 1000

/** At 20 messages a second 14 minutes: longer than the longest segment lasts. */
const CAPACITY = 16_384

const METRES_PER_DEGREE = 111_319.5

/** The vehicle's recent way, from which the pose at the moment of a frame is taken. Times are our clock's. */
export class Track {
  readonly #positions = new Series<Position>(CAPACITY)
  readonly #motions = new Series<Motion>(CAPACITY)

  addPosition(timeMs: number, position: Position): void {
    this.#positions.add(timeMs, position)
  }

  addMotion(timeMs: number, motion: Motion): void {
    this.#motions.add(timeMs, motion)
  }

  /**
   * Between two messages by interpolation, up to a second after the last one by going on as before. Undefined where neither position
   * nor attitude is known.
   */
  poseAt(timeMs: number): Pose | undefined {
    const position = at(this.#positions, timeMs, positionBetween, movedOn)
    const attitude = at(
      this.#motions,
      timeMs,
      (from, to, share) => ({ ...from, attitude: between(from.attitude, to.attitude, share) }),
      (from, seconds) => ({ ...from, attitude: turned(from.attitude, from.rates, seconds) }),
    )?.attitude
    return position === undefined && attitude === undefined ? undefined : { position, attitude }
  }
}

function at<T>(
  series: Series<T>,
  timeMs: number,
  inner: (from: T, to: T, share: number) => T,
  beyond: (from: T, seconds: number) => T,
): T | undefined {
  const { before, after } = series.around(timeMs)
  if (before === undefined) return undefined
  if (after !== undefined && after.timeMs - before.timeMs <= MOST_BETWEEN_MS) {
    return inner(before.value, after.value, shareOf(before, after, timeMs))
  }
  const beyondMs = timeMs - before.timeMs
  return beyondMs <= MOST_BEYOND_MS ? beyond(before.value, beyondMs / 1000) : undefined
}

function shareOf(before: Timed<unknown>, after: Timed<unknown>, timeMs: number): number {
  return (timeMs - before.timeMs) / (after.timeMs - before.timeMs)
}

function positionBetween(from: Position, to: Position, share: number): Position {
  const mix = (a: number, b: number) => a + (b - a) * share
  return {
    latitude: mix(from.latitude, to.latitude),
    // By the short way over the date line.
    longitude: wrapped(from.longitude + wrapped(to.longitude - from.longitude) * share),
    altitudeM: mix(from.altitudeM, to.altitudeM),
    heightM: mix(from.heightM, to.heightM),
    northMps: mix(from.northMps, to.northMps),
    eastMps: mix(from.eastMps, to.eastMps),
    downMps: mix(from.downMps, to.downMps),
  }
}

function movedOn(from: Position, seconds: number): Position {
  const shrink = Math.max(0.01, Math.cos((from.latitude * Math.PI) / 180))
  return {
    ...from,
    latitude: from.latitude + (from.northMps * seconds) / METRES_PER_DEGREE,
    longitude: wrapped(from.longitude + (from.eastMps * seconds) / (METRES_PER_DEGREE * shrink)),
    altitudeM: from.altitudeM - from.downMps * seconds,
    heightM: from.heightM - from.downMps * seconds,
  }
}

/** −180..180° */
function wrapped(degrees: number): number {
  return degrees - 360 * Math.round(degrees / 360)
}
