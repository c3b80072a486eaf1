import type { Hello } from '../../dashboard/wire.js'
import { number } from '../shared/format.js'
import { TimePlot, type TimePlotProps } from '../shared/time-plot.js'
import type { LiveDrone } from './store.js'

const windows = [
  { s: 120, text: '2 min' },
  { s: 600, text: '10 min' },
  { s: 1800, text: '30 min' },
]

/** What the drone did in the last minutes. */
export function Plots(props: {
  drone: LiveDrone
  hello: Hello
  nowMs: number
  windowS: number
  onWindow: (s: number) => void
}) {
  const { history, updates } = props.drone
  if (history.length === 0) return null
  const times = history.column('t') as number[]
  const end = Math.max(times.at(-1)!, props.nowMs / 1000)
  const percents = (name: 'adapting' | 'frozen' | 'cpu') =>
    history.column(name).map(value => (value === null ? null : 100 * value))
  const unit =
    (name: string, digits = 0) =>
    (value: number | null) =>
      number(value, digits, name)
  const budget = times.map(() => props.hello.uplinkKbps)
  const markers = updates.flatMap(({ answeredMs, state, version }) =>
    answeredMs === undefined
      ? []
      : [
          {
            time: answeredMs / 1000,
            colour: state === 'refused' || state === 'rolled-back' ? '--bad' : '--series-3',
            label: `version ${version}`,
          },
        ],
  )
  const common = { times, sync: 'live', window: { from: end - props.windowS, to: end }, height: 132 }
  const plots: TimePlotProps[] = [
    {
      ...common,
      title: 'mIoU',
      unit: '%',
      markers,
      range: { min: 0 },
      series: [
        {
          label: 'adapting',
          colour: '--series-1',
          values: percents('adapting'),
          format: unit('%', 1),
          stepped: true,
        },
        {
          label: 'frozen',
          colour: '--series-2',
          values: percents('frozen'),
          dash: true,
          format: unit('%', 1),
          stepped: true,
        },
      ],
    },
    {
      ...common,
      title: 'Link',
      unit: 'kbit/s',
      range: { min: 0 },
      series: [
        { label: 'up', colour: '--series-1', values: history.column('upKbps'), fill: true, format: unit('') },
        { label: 'down', colour: '--series-3', values: history.column('downKbps'), format: unit('') },
        { label: 'budget up', colour: '--series-5', values: budget, dash: true, format: unit('') },
      ],
    },
    {
      ...common,
      title: 'Sampling',
      range: { min: 0, max: 1 },
      series: [
        {
          label: 'frames/s',
          colour: '--series-1',
          values: history.column('samplingFps'),
          stepped: true,
          format: unit('', 2),
        },
        {
          label: 'φ',
          colour: '--series-4',
          values: history.column('phi'),
          dash: true,
          stepped: true,
          format: unit('', 2),
        },
      ],
    },
    {
      ...common,
      title: 'Camera to label',
      unit: 'ms',
      range: { min: 0 },
      series: [
        { label: 'median', colour: '--series-1', values: history.column('latencyP50Ms'), format: unit('') },
        {
          label: '99 %',
          colour: '--series-2',
          values: history.column('latencyP99Ms'),
          dash: true,
          format: unit(''),
        },
      ],
    },
    {
      ...common,
      title: 'Frames labelled',
      unit: '1/s',
      range: { min: 0 },
      series: [
        {
          label: 'fps',
          colour: '--series-1',
          values: history.column('fps'),
          fill: true,
          format: unit('', 1),
        },
      ],
    },
    {
      ...common,
      title: 'Board and battery',
      range: { min: 0, max: 100 },
      series: [
        { label: 'CPU %', colour: '--series-1', values: percents('cpu'), format: unit('') },
        ...(history.has('temperatureC')
          ? [{ label: '°C', colour: '--series-2', values: history.column('temperatureC'), format: unit('') }]
          : []),
        ...(history.has('batteryPercent')
          ? [
              {
                label: 'battery %',
                colour: '--series-3',
                values: history.column('batteryPercent'),
                dash: true,
                format: unit(''),
              },
            ]
          : []),
      ],
    },
  ]
  return (
    <section class="card" aria-label="History">
      <div class="views-head">
        <h2>History</h2>
        <fieldset class="choice">
          <legend class="visually-hidden">How much of it</legend>
          {windows.map(({ s, text }) => (
            <label key={s}>
              <input
                type="radio"
                name="window"
                checked={props.windowS === s}
                onChange={() => props.onWindow(s)}
              />
              <span>{text}</span>
            </label>
          ))}
        </fieldset>
        <span class="muted">Dotted lines: updates that flew, or were refused.</span>
      </div>
      <div class="plots">
        {plots.map(plot => (
          <TimePlot key={plot.title} {...plot} />
        ))}
      </div>
    </section>
  )
}
