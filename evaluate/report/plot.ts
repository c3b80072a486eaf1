import { axis, frame, renderSvg } from './chart.js'
import type { Results } from './results.js'

/** Okabe and Ito's colours: told apart by colour-blind readers too. */
const colours: Record<string, string> = {
  none: '#999999',
  'one-time': '#E69F00',
  'remote-tracking': '#56B4E9',
  jit: '#009E73',
  ams: '#D55E00',
}

/** For everything else, in turn. */
const variantColours = ['#0072B2', '#CC79A7', '#000000', '#A6761D', '#7570B3', '#666666']

/** mIoU of the trailing window over time, one line a scheme, as an SVG document of 960×540. */
export function plotSvg(results: Results): string {
  return renderSvg(option(results))
}

function option(results: Results): Record<string, unknown> {
  const schemes = Object.entries(results.schemes)
  const variants = schemes.map(([name]) => name).filter(name => !Object.hasOwn(colours, name))
  const values = schemes.flatMap(([, { series }]) =>
    series.flatMap(({ miou }) => (miou === null ? [] : [miou])),
  )
  const [least, greatest] = [Math.min(...values, 100), Math.max(...values, 0)]
  const step = greatest - least > 45 ? 20 : greatest - least > 18 ? 10 : 5
  const low = Math.max(0, Math.floor((least - 1) / step) * step)
  const high = Math.min(100, Math.max(low + step, Math.ceil((greatest + 1) / step) * step))
  const { video } = results
  const { title, legend } = frame(
    'Segmentation quality over the flight',
    `${shortName(video.source)}, ${video.frames} frames at ${round(video.fps)} fps; student ` +
      `${shortName(results.student.source)}; mIoU of the trailing ${results.metric.windowS} s, its mean in the legend`,
  )
  return {
    title,
    legend: {
      ...legend,
      data: schemes.map(([name]) => name),
      formatter: (name: string) => {
        const mean = results.schemes[name].miouWindow
        return mean === null ? name : `${name}  ${mean.toFixed(1)} %`
      },
    },
    grid: { left: 70, right: 30, top: 80, bottom: schemes.length > 5 ? 115 : 95 },
    xAxis: {
      ...axis,
      axisLabel: { ...axis.axisLabel, showMaxLabel: false },
      type: 'value',
      name: 'time, s',
      nameGap: 28,
      min: 0,
      max: video.durationS,
      interval: timeStep(video.durationS),
    },
    yAxis: { ...axis, type: 'value', name: 'mIoU, %', nameGap: 42, min: low, max: high, interval: step },
    color: schemes.map(
      ([name]) => colours[name] ?? variantColours[variants.indexOf(name) % variantColours.length],
    ),
    series: schemes.map(([name, scheme]) => ({
      name,
      type: 'line',
      showSymbol: false,
      lineStyle: { width: name === 'ams' ? 3 : 1.8, type: lineType(name) },
      z: name === 'ams' ? 3 : 2,
      data: scheme.series.map(({ t, miou }) => [t, miou]),
    })),
  }
}

/** Seconds between two marks of the time axis: a round number that gives five to ten of them. */
function timeStep(durationS: number): number {
  const steps = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800]
  return steps.find(step => durationS / step <= 10) ?? 3600
}

/** The pre-trained student is the line to beat; variants of AMS are told from the schemes by their dots. */
function lineType(name: string): 'solid' | 'dashed' | 'dotted' {
  return name === 'none' ? 'dashed' : name.startsWith('ams:') ? 'dotted' : 'solid'
}

function round(fps: number): number {
  return Math.round(fps * 100) / 100
}

/** The last two parts of a path: enough to recognise a file without telling whose home it lies in. */
function shortName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).slice(-2).join('/')
}
