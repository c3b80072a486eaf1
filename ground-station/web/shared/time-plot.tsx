import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { timeOfDay } from './format.js'
import { cssColour, onThemeChange } from './theme.js'

export interface Series {
  label: string
  /** A colour of style.css, such as `--series-1`. */
  colour: string
  /** One for each time; null where there is none. */
  values: ArrayLike<number | null>
  dash?: boolean
  /** Steps from one value to the next instead of a slope. */
  stepped?: boolean
  /** Filled down to the axis. */
  fill?: boolean
  /** For the legend. */
  format?: (value: number | null) => string
}

/** A moment marked in a plot. */
export interface Marker {
  /** Unix time, s. */
  time: number
  colour: string
  label: string
}

export interface TimePlotProps {
  title: string
  /** Unix times, s, ascending. */
  times: ArrayLike<number>
  series: Series[]
  unit?: string
  height?: number
  /** The least that the axis shows; it grows with the values. */
  range?: { min?: number; max?: number }
  /** What is shown of the time, Unix s; all of it by default. */
  window?: { from: number; to: number }
  markers?: Marker[]
  /** Where the reader is, Unix s. */
  cursor?: number
  /** Somebody points to a time (Unix s) and clicks. */
  onSeek?: (time: number) => void
  /** Somebody drags over a stretch of time. */
  onSelect?: (from: number, to: number) => void
  /** Plots with the same key show the pointer at the same time. */
  sync?: string
}

/** A plot over time. Data is replaced in place; it is made anew only where the series themselves, the theme or the width change. */
export function TimePlot(props: TimePlotProps) {
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot | undefined>(undefined)
  const latest = useRef(props)
  latest.current = props
  const shape = JSON.stringify([
    props.series.map(({ label, colour, dash, stepped, fill }) => [label, colour, dash, stepped, fill]),
    props.unit,
    props.height,
    props.sync,
  ])

  useEffect(() => {
    const element = host.current!
    const make = () => {
      plot.current?.destroy()
      plot.current = new UPlot(plotOptions(latest, element.clientWidth), plotData(latest.current), element)
    }
    make()
    const resized = new ResizeObserver(() => {
      const { height = 120 } = latest.current
      if (element.clientWidth > 0 && plot.current?.width !== element.clientWidth)
        plot.current?.setSize({ width: element.clientWidth, height })
    })
    resized.observe(element)
    const endTheme = onThemeChange(make)
    return () => {
      endTheme()
      resized.disconnect()
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [shape])

  useEffect(() => {
    plot.current?.setData(plotData(props), false)
    const { window, times } = props
    const last = times.length - 1
    const min = window?.from ?? times[0]
    const max = window?.to ?? times[last]
    if (min !== undefined && max !== undefined) plot.current?.setScale('x', { min, max })
  }, [props.times, props.series, props.window, props.markers, props.cursor])

  return (
    <figure class="plot" aria-label={summary(props)} role="img">
      <figcaption>
        <span class="plot-title">
          {props.title}
          {props.unit ? <span class="muted">, {props.unit}</span> : null}
        </span>
        {props.series.map(({ label, colour, dash, values, format = plain }) => (
          <span class="plot-key" key={label}>
            <svg width="16" height="8" aria-hidden="true">
              <line
                x1="0"
                x2="16"
                y1="4"
                y2="4"
                style={{ stroke: `var(${colour})` }}
                stroke-width="3"
                stroke-dasharray={dash ? '4 3' : undefined}
              />
            </svg>
            {label} <b>{format(lastValue(values))}</b>
          </span>
        ))}
      </figcaption>
      <div class="plot-host" ref={host} style={{ height: `${props.height ?? 120}px` }} />
    </figure>
  )
}

function plotData({ times, series }: TimePlotProps): UPlot.AlignedData {
  return [times, ...series.map(({ values }) => values)] as unknown as UPlot.AlignedData
}

function plotOptions(latest: { current: TimePlotProps }, width: number): UPlot.Options {
  const { series, height = 120, sync } = latest.current
  const text = cssColour('--muted')
  const line = cssColour('--grid')
  const font = '12px system-ui, sans-serif'
  const axis = {
    stroke: text,
    font,
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1, size: 4 },
  }
  return {
    width: Math.max(50, width),
    height,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: {
      y: false,
      drag: { x: latest.current.onSelect !== undefined, y: false, setScale: false },
      ...(sync === undefined ? {} : { sync: { key: sync, setSeries: false } }),
    },
    scales: { x: { time: true }, y: { range: (_, min, max) => yRange(latest.current, min, max) } },
    axes: [
      { ...axis, size: 24, space: 70, values: (_, ticks) => ticks.map(tick => shortTime(tick, ticks)) },
      { ...axis, size: 46, space: 24 },
    ],
    series: [
      {},
      ...series.map(({ label, colour, dash, stepped, fill }) => ({
        label,
        stroke: cssColour(colour),
        width: 2,
        spanGaps: false,
        points: { show: false },
        ...(dash ? { dash: [5, 4] } : {}),
        ...(fill ? { fill: `color-mix(in srgb, ${cssColour(colour)} 18%, transparent)` } : {}),
        ...(stepped ? { paths: UPlot.paths.stepped!({ align: 1 }) } : {}),
      })),
    ],
    hooks: {
      draw: [plot => drawMarks(plot, latest.current)],
      setSelect: [
        plot => {
          const { left, width: wide } = plot.select
          if (wide > 2) latest.current.onSelect?.(plot.posToVal(left, 'x'), plot.posToVal(left + wide, 'x'))
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
        },
      ],
      ready: [
        plot => {
          plot.over.addEventListener('click', event => {
            const { left } = plot.over.getBoundingClientRect()
            latest.current.onSeek?.(plot.posToVal(event.clientX - left, 'x'))
          })
        },
      ],
    },
  }
}

function yRange({ range = {} }: TimePlotProps, low: number | null, high: number | null): [number, number] {
  const min = Math.min(range.min ?? Number.POSITIVE_INFINITY, low ?? Number.POSITIVE_INFINITY)
  const max = Math.max(range.max ?? Number.NEGATIVE_INFINITY, high ?? Number.NEGATIVE_INFINITY)
  if (!Number.isFinite(min) || !Number.isFinite(max)) return [0, 1]
  const room = max > min ? 0.06 * (max - min) : Math.max(0.5, 0.1 * Math.abs(max))
  return [range.min !== undefined && min === range.min ? min : min - room, max + room]
}

/** Markers and the reader's place, in canvas pixels. */
function drawMarks(plot: UPlot, { markers = [], cursor }: TimePlotProps): void {
  const { ctx, bbox } = plot
  const vertical = (time: number, colour: string, width: number, dash: number[]) => {
    const x = Math.round(plot.valToPos(time, 'x', true))
    if (x < bbox.left || x > bbox.left + bbox.width) return
    ctx.strokeStyle = cssColour(colour)
    ctx.lineWidth = width * devicePixelRatio
    ctx.setLineDash(dash)
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
  }
  ctx.save()
  for (const { time, colour } of markers)
    vertical(time, colour, 1, [2 * devicePixelRatio, 3 * devicePixelRatio])
  if (cursor !== undefined) vertical(cursor, '--accent', 2, [])
  ctx.restore()
}

function shortTime(second: number, ticks: number[]): string {
  const text = timeOfDay(1000 * second)
  return ticks.length > 1 && ticks[1] - ticks[0] >= 60 ? text.slice(0, 5) : text
}

function lastValue(values: ArrayLike<number | null>): number | null {
  return values.length === 0 ? null : values[values.length - 1]
}

function plain(value: number | null): string {
  return value === null || !Number.isFinite(value) ? '–' : String(Math.round(10 * value) / 10)
}

/** What a screen reader says instead of the curves. */
function summary({ title, series, unit = '' }: TimePlotProps): string {
  const parts = series.map(({ label, values, format = plain }) => {
    const last = lastValue(values)
    return `${label} ${last === null ? 'unknown' : format(last)}`
  })
  return `${title}${unit === '' ? '' : ` in ${unit}`}. Now: ${parts.join(', ')}`
}
