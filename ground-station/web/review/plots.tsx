import { useMemo, useState } from 'preact/hooks'
import { type Marker, TimePlot } from '../shared/time-plot.js'
import { align, grouped } from './curves.js'
import type { FlightView, SeriesData, SeriesInfo } from './data.js'
import { eventColour } from './timeline.js'

const colours = ['--series-1', '--series-2', '--series-3', '--series-4', '--series-5']
/** Curves that are asked for by name, at a time. */
const MOST_EXTRA = 12

export interface Stretch {
  fromMs: number
  toMs: number
}

/** Every curve of the flight; dragging over a stretch shows it closer. */
export function Plots(props: {
  view: FlightView
  series: Map<string, SeriesData>
  atMs: number
  stretch: Stretch
  zoomed: boolean
  extra: string[]
  onSeek: (ms: number) => void
  onStretch: (stretch: Stretch | undefined) => void
  onExtra: (names: string[]) => void
}) {
  const { view, series, atMs, stretch, zoomed, extra } = props
  const shown = view.series.filter(one => one.standard === true || extra.includes(one.name))
  const markers = useMemo(
    (): Marker[] =>
      view.eventList
        .filter(({ type }) => type.startsWith('update') || type === 'rolled-back' || type === 'mode')
        .map(event => ({ time: event.timeMs / 1000, colour: eventColour(event), label: event.text })),
    [view],
  )
  const others = view.series.filter(one => one.standard !== true)
  return (
    <section class="card" aria-label="Curves">
      <div class="title-row">
        <h2>Curves</h2>
        <span class="muted small">Click for a moment, drag for a stretch</span>
        <button type="button" class="small end" disabled={!zoomed} onClick={() => props.onStretch(undefined)}>
          Whole flight
        </button>
      </div>
      {others.length === 0 ? null : <Chooser all={others} chosen={extra} onChoose={props.onExtra} />}
      <div class="plots">
        {grouped(shown).map(({ group, series: members }) => (
          <Group
            key={group}
            {...{ group, members, series, markers, atMs, stretch }}
            onSeek={props.onSeek}
            onStretch={props.onStretch}
          />
        ))}
      </div>
    </section>
  )
}

function Group(props: {
  group: string
  members: SeriesInfo[]
  series: Map<string, SeriesData>
  markers: Marker[]
  atMs: number
  stretch: Stretch
  onSeek: (ms: number) => void
  onStretch: (stretch: Stretch) => void
}) {
  const { group, members, series, markers, atMs, stretch } = props
  const loaded = members.filter(({ name }) => (series.get(name)?.timesMs.length ?? 0) > 0)
  const curves = useMemo(() => align(loaded.map(({ name }) => series.get(name)!)), [series, loaded.length])
  const lines = useMemo(
    () =>
      loaded.map(({ label }, i) => ({
        label,
        colour: colours[i % colours.length],
        values: curves.values[i] as (number | null)[],
        format: () => '',
      })),
    [curves],
  )
  const window = useMemo(
    () => ({ from: stretch.fromMs / 1000, to: stretch.toMs / 1000 }),
    [stretch.fromMs, stretch.toMs],
  )
  if (loaded.length === 0) return null
  return (
    <TimePlot
      title={group}
      unit={loaded[0].unit}
      times={curves.times}
      series={lines}
      window={window}
      markers={markers}
      cursor={atMs / 1000}
      onSeek={second => props.onSeek(second * 1000)}
      onSelect={(from, to) => props.onStretch({ fromMs: from * 1000, toMs: to * 1000 })}
      sync="review"
    />
  )
}

/** Finds further curves by a part of their name: a log of an autopilot has hundreds. */
function Chooser(props: { all: SeriesInfo[]; chosen: string[]; onChoose: (names: string[]) => void }) {
  const { all, chosen } = props
  const [text, setText] = useState('')
  const wanted = text.trim().toLowerCase()
  const found =
    wanted === ''
      ? []
      : all.filter(({ name, label }) => `${name} ${label}`.toLowerCase().includes(wanted)).slice(0, 30)
  const toggle = (name: string) =>
    props.onChoose(
      chosen.includes(name) ? chosen.filter(one => one !== name) : [...chosen, name].slice(-MOST_EXTRA),
    )
  return (
    <div class="chooser">
      <label>
        More curves{' '}
        <input
          type="search"
          value={text}
          placeholder={`one of ${all.length}, such as ${all[0].name}`}
          onInput={event => setText(event.currentTarget.value)}
        />
      </label>
      {[...new Set([...chosen, ...found.map(({ name }) => name)])].map(name => (
        <button
          key={name}
          type="button"
          class="small"
          aria-pressed={chosen.includes(name)}
          onClick={() => toggle(name)}
        >
          {chosen.includes(name) ? '✓ ' : ''}
          {name}
        </button>
      ))}
    </div>
  )
}
