import { axis, fontFamily, frame, renderSvg } from '../report/chart.js'

/** How far the drones of a fleet fall behind lone ones. */
export interface FleetPoint {
  drones: number
  /** Mean over the drones of the mIoU that each lost to the same flight alone, points. */
  lost: number
}

/** Okabe and Ito's colours: told apart by colour-blind readers too. */
const colours = ['#D55E00', '#0072B2', '#009E73']

/** What is still said to be served, points of mIoU. */
export const SERVED_POINTS = 1

/** mIoU lost against the number of drones, one line a policy, as an SVG document of 960×540. */
export function plotFleetSvg(series: Record<string, FleetPoint[]>, what: string): string {
  const all = Object.values(series).flat()
  const { title, legend } = frame('What drones lose by sharing a ground station', what)
  return renderSvg({
    title,
    legend: { ...legend, data: Object.keys(series) },
    grid: { left: 70, right: 30, top: 80, bottom: 95 },
    xAxis: {
      ...axis,
      type: 'value',
      name: 'drones',
      nameGap: 28,
      min: 1,
      max: Math.max(...all.map(({ drones }) => drones), 2),
      minInterval: 1,
    },
    yAxis: { ...axis, type: 'value', name: 'mIoU below a lone drone, points', nameGap: 42 },
    color: colours,
    series: Object.entries(series).map(([name, points], i) => ({
      name,
      type: 'line',
      symbolSize: 7,
      lineStyle: { width: 2.5 },
      data: points.map(({ drones, lost }) => [drones, lost]),
      ...(i === 0 && {
        markLine: {
          silent: true,
          symbol: 'none',
          lineStyle: { color: '#666', type: 'dashed' },
          label: { formatter: '1 point', fontFamily, position: 'insideEndTop' },
          data: [{ yAxis: SERVED_POINTS }],
        },
      }),
    })),
  })
}

/** The most drones that were tried such that these and all fewer ones lost no more than a point. */
export function dronesServed(points: FleetPoint[]): number {
  const ascending = points.toSorted((a, b) => a.drones - b.drones)
  const tooMany = ascending.findIndex(({ lost }) => lost > SERVED_POINTS)
  return ascending[tooMany < 0 ? ascending.length - 1 : tooMany - 1]?.drones ?? 1
}
