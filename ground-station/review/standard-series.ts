import { seriesKinds } from '@kestrel/flight-log'
import type { SeriesInfo } from './api.js'

/** Which curves stand in one plot, in the order in which people look for them. */
const groups: [group: string, names: string[]][] = [
  ['Segmentation quality', ['miouAdapting', 'miouFrozen']],
  ['Hold-out', ['holdOutBefore', 'holdOutAfter']],
  ['Link', ['uplinkKbps', 'downlinkKbps']],
  ['Height', ['heightM']],
  ['Altitude', ['altitudeM']],
  ['Speed', ['speedMps', 'airspeedMps', 'climbMps']],
  ['Attitude', ['rollDeg', 'pitchDeg']],
  ['Heading', ['yawDeg']],
  ['Sampling', ['samplingFps', 'samplingAskedFps']],
  ['Scene change φ', ['phi']],
  ['T_update', ['updatePeriodS']],
  ['Update size', ['updateKB']],
  ['Loss', ['loss']],
  ['Latency', ['latencyP50Ms', 'latencyP99Ms']],
  ['Frames', ['fps', 'framesDropped']],
  ['Model version', ['modelVersion']],
  ['Processor and memory', ['cpu', 'memory']],
  ['Temperature', ['temperatureC']],
  ['Battery charge', ['batteryPercent']],
  ['Battery voltage', ['batteryV']],
  ['Battery current', ['batteryA']],
]

const groupOf = new Map(groups.flatMap(([group, names]) => names.map(name => [name, group] as const)))
const order = groups.flatMap(([, names]) => names)

/** Series that logs of every kind have under the same name. */
export type StandardSeries =
  | 'altitudeM'
  | 'heightM'
  | 'speedMps'
  | 'airspeedMps'
  | 'climbMps'
  | 'rollDeg'
  | 'pitchDeg'
  | 'yawDeg'
  | 'batteryV'
  | 'batteryPercent'
  | 'satellites'

/** How a curve of a flight log is called, measured and shown. @param name one of the flight log's `seriesKinds` */
export function seriesInfo(name: string): SeriesInfo {
  const { title, unit } = seriesKinds[name]
  return { name, label: title, unit, group: groupOf.get(name) ?? title, standard: groupOf.has(name) }
}

/** In the order in which people look for them; those that are not known here stay behind, as they came. */
export function inOrder<T extends { name: string }>(series: T[]): T[] {
  const rank = ({ name }: T) => {
    const at = order.indexOf(name)
    return at < 0 ? order.length : at
  }
  return series
    .map((one, i) => ({ one, i }))
    .sort((a, b) => rank(a.one) - rank(b.one) || a.i - b.i)
    .map(({ one }) => one)
}
