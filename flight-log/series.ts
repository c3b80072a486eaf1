import type { Message } from '@bufbuild/protobuf'
import type { Pose, Telemetry, Vehicle } from '@kestrel/link'
import type { LearningPhase, LearningScore, LinkTraffic } from './proto/flight_pb.js'
import type { Topic } from './schemas.js'

/** A quantity over time, and where in a log it stands. */
export interface SeriesKind {
  topic: Topic
  title: string
  unit: string
  /** Undefined where the message does not say it. */
  value: (message: Message) => number | undefined
  /** The value is a count that rises: what is shown is how much it rises a second. */
  rate?: boolean
}

/** Kinds of one topic. */
function from<M extends Message>(
  topic: Topic,
  kinds: Record<
    string,
    [title: string, unit: string, value: (message: M) => number | undefined, rate?: 'rate']
  >,
): Record<string, SeriesKind> {
  return Object.fromEntries(
    Object.entries(kinds).map(([name, [title, unit, value, rate]]) => [
      name,
      { topic, title, unit, value: value as SeriesKind['value'], rate: rate === 'rate' },
    ]),
  )
}

const degrees = (radians: number | undefined) =>
  radians === undefined ? undefined : (radians * 180) / Math.PI
const percent = (share: number | undefined) => (share === undefined ? undefined : 100 * share)
const positioned = (value: (pose: Pose) => number) => (vehicle: Vehicle) =>
  vehicle.pose?.positioned ? value(vehicle.pose) : undefined

/** Every curve that a log has, by name. */
export const seriesKinds: Record<string, SeriesKind> = {
  ...from<Telemetry>('/agent/telemetry', {
    fps: ['Labelled', 'frames/s', t => t.fps],
    latencyP50Ms: ['Camera to label, median', 'ms', t => t.latencyP50Ms],
    latencyP99Ms: ['Camera to label, 99th percentile', 'ms', t => t.latencyP99Ms],
    samplingFps: ['Sampling', 'frames/s', t => t.samplingFps],
    modelVersion: ['Model version', '', t => t.modelVersion],
    framesDropped: ['Frames dropped', '1/s', t => Number(t.framesDropped), 'rate'],
    outboxSegments: ['Segments that wait', '', t => t.outboxSegments],
    cpu: ['CPU', '%', t => percent(t.board?.cpu)],
    memory: ['Memory', '%', t => percent(t.board?.memory)],
    temperatureC: ['Temperature', '°C', t => t.board?.temperatureC],
    diskFreeMB: [
      'Disk free',
      'MB',
      t => (t.board === undefined ? undefined : Number(t.board.diskFreeBytes) / 1e6),
    ],
  }),
  ...from<LinkTraffic>('/agent/traffic', {
    uplinkKbps: ['Up', 'kbit/s', t => (8 * Number(t.upBytes)) / 1000, 'rate'],
    downlinkKbps: ['Down', 'kbit/s', t => (8 * Number(t.downBytes)) / 1000, 'rate'],
  }),
  ...from<Vehicle>('/vehicle/state', {
    altitudeM: ['Altitude above the sea', 'm', positioned(pose => pose.altitudeM)],
    heightM: ['Height above home', 'm', positioned(pose => pose.heightM)],
    speedMps: ['Speed over ground', 'm/s', positioned(pose => pose.speedMps)],
    climbMps: ['Climb', 'm/s', positioned(pose => -pose.downMps)],
    airspeedMps: ['Airspeed', 'm/s', v => v.airspeedMps],
    rollDeg: ['Roll', '°', v => degrees(v.pose?.rollRad)],
    pitchDeg: ['Pitch', '°', v => degrees(v.pose?.pitchRad)],
    yawDeg: ['Yaw', '°', v => degrees(v.pose?.yawRad)],
    batteryV: ['Battery', 'V', v => v.batteryV],
    batteryA: ['Current', 'A', v => v.batteryA],
    batteryPercent: ['Battery', '%', v => v.batteryPercent],
    satellites: ['Satellites', '', v => v.satellites],
  }),
  ...from<LearningPhase>('/learning/phase', {
    loss: ['Loss', '', p => p.loss],
    holdOutBefore: ['Hold-out mIoU, as flown', '%', p => percent(p.holdOutBefore)],
    holdOutAfter: ['Hold-out mIoU, trained', '%', p => percent(p.holdOutAfter)],
    phi: ['φ', '', p => p.phi],
    samplingAskedFps: ['Sampling asked for', 'frames/s', p => p.samplingFps],
    updatePeriodS: ['T_update', 's', p => p.updatePeriodS],
    updateKB: ['Update', 'kB', p => (p.sent ? p.updateBytes / 1000 : undefined)],
    iterations: ['Iterations', '', p => p.iterations],
    phaseMs: ['Phase', 'ms', p => p.durationMs],
  }),
  ...from<LearningScore>('/learning/score', {
    miouAdapting: ['mIoU, adapting', '%', s => percent(s.adapting)],
    miouFrozen: ['mIoU, frozen', '%', s => percent(s.frozen)],
  }),
}

/** Points of a curve: times, Unix ms, and values; where points stand for many, also the least and the greatest of them. */
export interface Series {
  name: string
  title: string
  unit: string
  timesMs: number[]
  values: number[]
  min?: number[]
  max?: number[]
}

interface Bucket {
  timeMs: number
  sum: number
  count: number
  min: number
  max: number
}

/**
 * Points of a curve in bounded memory: equal spans of time with mean, least and greatest value, whose width doubles whenever there would be
 * too many. Times may come out of order.
 */
export class SeriesSketch {
  readonly #most: number
  #widthMs: number
  #buckets = new Map<number, Bucket>()

  /** @param most spans that are kept */
  constructor(most = 500, widthMs = 250) {
    this.#most = most
    this.#widthMs = widthMs
  }

  /** Of one span; the points are as fine as that. */
  get widthMs(): number {
    return this.#widthMs
  }

  add(timeMs: number, value: number): void {
    if (!Number.isFinite(value)) return
    this.#merge({ timeMs, sum: value, count: 1, min: value, max: value })
    while (this.#buckets.size > this.#most) {
      this.#widthMs *= 2
      const before = this.#buckets
      this.#buckets = new Map()
      for (const bucket of before.values()) this.#merge(bucket)
    }
  }

  points(): Required<Pick<Series, 'timesMs' | 'values' | 'min' | 'max'>> {
    const sorted = [...this.#buckets].sort(([a], [b]) => a - b).map(([, bucket]) => bucket)
    return {
      timesMs: sorted.map(({ timeMs }) => timeMs),
      values: sorted.map(({ sum, count }) => sum / count),
      min: sorted.map(({ min }) => min),
      max: sorted.map(({ max }) => max),
    }
  }

  #merge(bucket: Bucket): void {
    const key = Math.floor(bucket.timeMs / this.#widthMs)
    const known = this.#buckets.get(key)
    if (known === undefined) {
      this.#buckets.set(key, { ...bucket })
      return
    }
    // The moment of a span is that of its first value.
    known.timeMs = Math.min(known.timeMs, bucket.timeMs)
    known.sum += bucket.sum
    known.count += bucket.count
    known.min = Math.min(known.min, bucket.min)
    known.max = Math.max(known.max, bucket.max)
  }
}

/** Turns a count that rises into its rise a second; undefined for the first, and where the count began again. */
export class Rate {
  #timeMs: number | undefined
  #value = 0

  next(timeMs: number, value: number): number | undefined {
    const before = this.#timeMs
    const rise = value - this.#value
    this.#timeMs = timeMs
    this.#value = value
    return before === undefined || rise < 0 || timeMs <= before
      ? undefined
      : rise / ((timeMs - before) / 1000)
  }
}
