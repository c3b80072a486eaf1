import { useMemo, useState } from 'preact/hooks'
import { bytes, dateAndTime, duration, percent, points } from '../shared/format.js'
import { goTo, placeHash } from '../shared/route.js'
import { TimePlot } from '../shared/time-plot.js'
import { ClassTable } from './class-table.js'
import { align, grouped } from './curves.js'
import { type FlightView, loadFlight, loadScores, loadSeries, type Scores, type SeriesData } from './data.js'
import { useLoaded, Waiting } from './loading.js'
import { type Layer, Stage, useScene } from './stage.js'

const POINTS = 800
/** What is compared first; other curves of both follow. */
const MOST_SERIES = 24

interface Side {
  view: FlightView
  series: Map<string, SeriesData>
  scores: Scores | null
}

async function loadSide(id: string): Promise<Side> {
  const view = await loadFlight(id)
  const names = view.series
    .filter(one => one.standard === true)
    .map(({ name }) => name)
    .slice(0, MOST_SERIES)
  const [series, scores] = await Promise.all([
    loadSeries(id, names, { points: POINTS }),
    view.kind === 'kestrel' ? loadScores(id) : null,
  ])
  return { view, series, scores }
}

/** Two flights beside each other, by the time since they began. */
export function ComparePage({ ids, params }: { ids: string[]; params: URLSearchParams }) {
  const { value, error } = useLoaded(() => Promise.all(ids.map(loadSide)), ids.join(' '))
  if (value === undefined) return <Waiting error={error} what="the flights" />
  return <Compared sides={value} params={params} />
}

function Compared({ sides, params }: { sides: Side[]; params: URLSearchParams }) {
  const longest = Math.max(...sides.map(({ view }) => (view.endMs - view.beginMs) / 1000))
  const second = Math.min(longest, Math.max(0, Number(params.get('t') ?? longest / 2) || 0))
  const seek = (to: number) =>
    goTo(placeHash(['compare', ...sides.map(({ view }) => view.id)], { t: to.toFixed(1) }), { replace: true })
  return (
    <div class="flight">
      <div class="title-row">
        <h1>
          <a href={placeHash([])} class="back" aria-label="All flights">
            ‹
          </a>{' '}
          Two flights
        </h1>
      </div>
      <div class="card scroll-x">
        <Facts sides={sides} />
      </div>
      <section class="card timeline" aria-label="Time line">
        <label class="row">
          Time since the beginning: <b>{duration(second)}</b>
          <input
            type="range"
            class="scrub"
            min="0"
            max={longest}
            step="any"
            value={second}
            onInput={event => seek(Number(event.currentTarget.value))}
          />
        </label>
      </section>
      <div class="halves">
        {sides.map(({ view }) => (
          <Frames key={view.id} view={view} atMs={Math.min(view.endMs, view.beginMs + 1000 * second)} />
        ))}
      </div>
      <Curves sides={sides} second={second} onSeek={seek} />
      <div class="halves">
        {sides.map(({ view, scores }) => (
          <section class="card scroll-x" key={view.id} aria-label={`IoU by class, ${view.id}`}>
            {scores === null ? (
              <p class="muted">Nothing was scored.</p>
            ) : (
              <ClassTable scores={scores} caption={view.id} />
            )}
          </section>
        ))}
      </div>
    </div>
  )
}

function Facts({ sides }: { sides: Side[] }) {
  const gain = ({ miou }: FlightView) => (miou === undefined ? undefined : miou.adapting - miou.frozen)
  const rows: [string, (view: FlightView) => string][] = [
    ['Drone', view => view.drone],
    ['Flown', view => (view.dated ? dateAndTime(view.beginMs) : 'time not known')],
    ['Duration', view => duration((view.endMs - view.beginMs) / 1000)],
    ['mIoU, learning', view => percent(view.miou?.adapting)],
    ['mIoU, frozen', view => percent(view.miou?.frozen)],
    ['Gain', view => points(gain(view))],
    ['Updates applied, refused', view => `${view.updates}, ${view.refused}`],
    ['Events', view => `${view.events}`],
    ['Student', view => view.student || '–'],
    ['Software', view => view.software || '–'],
    ['Log', view => bytes(view.bytes)],
  ]
  const settings = differences(sides.map(({ view }) => view.configuration))
  return (
    <table class="facts-table">
      <thead>
        <tr>
          <td />
          {sides.map(({ view }) => (
            <th scope="col" key={view.id}>
              <a href={placeHash(['flight', view.id])}>{view.id}</a>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, of]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            {sides.map(({ view }) => (
              <td key={view.id}>{of(view)}</td>
            ))}
          </tr>
        ))}
        {settings.map(([name, values]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            {values.map((value, i) => (
              <td key={sides[i].view.id}>{value}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** Settings in which two configurations differ. */
function differences([a, b]: Record<string, string>[]): [string, string[]][] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter(key => a[key] !== b[key])
    .slice(0, 40)
    .map(key => [key, [a[key] ?? '–', b[key] ?? '–']])
}

function Frames({ view, atMs }: { view: FlightView; atMs: number }) {
  const scene = useScene(view.id, atMs)
  const [layers, setLayers] = useState<[Layer, Layer]>(['student', 'teacher'])
  const [opacity, setOpacity] = useState(0.55)
  if (view.frames === 0) return <p class="card muted">{view.id} has no frames.</p>
  return <Stage {...{ view, scene, layers, opacity }} onLayers={setLayers} onOpacity={setOpacity} />
}

function Curves({ sides, second, onSeek }: { sides: Side[]; second: number; onSeek: (to: number) => void }) {
  // Plots show times of the day: the beginning of both flights is a midnight here.
  const midnight = useMemo(() => new Date(1970, 0, 2).getTime(), [])
  const groups = useMemo(() => {
    const infos = sides.flatMap(({ view }) => view.series).filter(one => one.standard === true)
    const unique = infos.filter((one, i) => infos.findIndex(({ name }) => name === one.name) === i)
    return grouped(unique).map(({ group, series }) => {
      const lines = sides.flatMap((side, s) =>
        series.flatMap(({ name, label }, i) => {
          const data = side.series.get(name)
          if (data === undefined || data.timesMs.length === 0) return []
          const shifted = data.timesMs.map(ms => ms - side.view.beginMs + midnight)
          return [
            {
              data: { ...data, timesMs: shifted },
              line: {
                label: `${label}, ${s === 0 ? 'first' : 'second'}`,
                colour: `--series-${1 + ((i * 2 + s) % 5)}`,
                dash: s === 1,
              },
            },
          ]
        }),
      )
      const { times, values } = align(lines.map(({ data }) => data))
      return {
        ...{ group, unit: series[0].unit, times },
        series: lines.map(({ line }, i) => ({
          ...line,
          values: values[i] as (number | null)[],
          format: () => '',
        })),
      }
    })
  }, [sides])
  return (
    <section class="card" aria-label="Curves">
      <h2>Curves</h2>
      <div class="plots">
        {groups
          .filter(({ times }) => times.length > 0)
          .map(({ group, unit, times, series }) => (
            <TimePlot
              key={group}
              title={group}
              {...{ unit, times, series }}
              cursor={midnight / 1000 + second}
              onSeek={at => onSeek(at - midnight / 1000)}
              sync="compare"
            />
          ))}
      </div>
    </section>
  )
}
