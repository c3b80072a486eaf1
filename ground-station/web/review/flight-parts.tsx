import { useMemo } from 'preact/hooks'
import { bytes, dateAndTime, duration, gainClass, percent, points } from '../shared/format.js'
import { placeHash } from '../shared/route.js'
import { TrackMap } from '../shared/track-map.js'
import { ClassTable } from './class-table.js'
import { nearest, valueAt } from './curves.js'
import { type FlightView, loadScores, reportUrl, type SeriesData } from './data.js'
import { useLoaded } from './loading.js'
import type { Stretch } from './plots.js'
import { eventColour } from './timeline.js'

export function Header({ view }: { view: FlightView }) {
  const { miou } = view
  const gain = miou === undefined ? undefined : miou.adapting - miou.frozen
  return (
    <div class="title-row">
      <h1>
        <a href={placeHash([])} class="back" aria-label="All flights">
          ‹
        </a>{' '}
        {view.drone}
      </h1>
      <dl class="facts">
        <div>
          <dt>Flown</dt>
          <dd>{view.dated ? dateAndTime(view.beginMs) : 'time not known'}</dd>
        </div>
        <div>
          <dt>Duration</dt>
          <dd>{duration((view.endMs - view.beginMs) / 1000)}</dd>
        </div>
        {miou === undefined ? null : (
          <div>
            <dt>mIoU</dt>
            <dd>
              {percent(miou.adapting)} <span class={gainClass(gain)}>{points(gain)}</span>
            </dd>
          </div>
        )}
        {view.kind === 'kestrel' ? (
          <div>
            <dt>Updates</dt>
            <dd>
              {view.updates}
              {view.refused > 0 ? <span class="warn"> {view.refused} refused</span> : null}
            </dd>
          </div>
        ) : null}
      </dl>
      {view.kind === 'kestrel' ? (
        <a class="button end" href={reportUrl(view.id)} download>
          Report
        </a>
      ) : null}
    </div>
  )
}

export function Place(props: {
  view: FlightView
  series: Map<string, SeriesData>
  atMs: number
  onSeek: (ms: number) => void
}) {
  const { view, series, atMs } = props
  const { track } = view
  const points = useMemo(
    () => track.latitudeDeg.map((latitude, i) => [latitude, track.longitudeDeg[i]] as [number, number]),
    [track],
  )
  const markers = useMemo(
    () =>
      points.length === 0
        ? []
        : view.eventList
            .filter(({ type }) => ['update-applied', 'update-refused', 'rolled-back', 'mode'].includes(type))
            .slice(0, 200)
            .map(event => ({
              at: points[nearest(track.timesMs, event.timeMs)],
              colour: eventColour(event),
              text: event.text,
            })),
    [view],
  )
  const index = points.length === 0 ? 0 : nearest(track.timesMs, atMs)
  const heading = valueAt(series.get('yawDeg'), atMs)
  const tracks = useMemo(
    () => [
      {
        name: view.drone,
        colour: '--series-1',
        points,
        at: points[index],
        headingDeg: heading,
        chosen: true,
      },
    ],
    [points, index, heading],
  )
  if (points.length === 0) return null
  return (
    <section class="card" aria-label="Map">
      <TrackMap
        tracks={tracks}
        markers={markers}
        label="Map of the flight"
        onSeek={at => props.onSeek(track.timesMs[at])}
      />
    </section>
  )
}

export function Classes({ view, stretch }: { view: FlightView; stretch: Stretch | undefined }) {
  const { value } = useLoaded(
    () => (view.kind === 'kestrel' ? loadScores(view.id, stretch) : Promise.resolve(null)),
    `${view.id} ${stretch?.fromMs} ${stretch?.toMs}`,
  )
  if (value == null) return null
  return (
    <section class="card scroll-x" aria-label="IoU by class">
      <h2>IoU by class</h2>
      <ClassTable
        scores={value}
        caption={stretch === undefined ? 'The whole flight' : 'The stretch that is shown'}
      />
    </section>
  )
}

export function About({ view }: { view: FlightView }) {
  const lists: [string, [string, string | number][]][] = [
    ['Configuration', Object.entries(view.configuration)],
    ['Parameters', Object.entries(view.parameters)],
  ]
  return (
    <section class="card" aria-label="About this flight">
      <h2>About</h2>
      <dl class="about">
        <dt>Log</dt>
        <dd>
          {view.id}, {bytes(view.bytes)}
        </dd>
        {view.software === '' ? null : (
          <>
            <dt>Software</dt>
            <dd>{view.software}</dd>
          </>
        )}
        {view.student === '' ? null : (
          <>
            <dt>Student</dt>
            <dd>{view.student}</dd>
          </>
        )}
      </dl>
      {lists
        .filter(([, entries]) => entries.length > 0)
        .map(([name, entries]) => (
          <details key={name}>
            <summary>
              {name}, {entries.length}
            </summary>
            <table class="about-table">
              <tbody>
                {entries.map(([key, value]) => (
                  <tr key={key}>
                    <th scope="row">{key}</th>
                    <td>{value}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        ))}
    </section>
  )
}

export function Keys() {
  const keys: [string, string][] = [
    ['← →', 'frame'],
    ['⇧← ⇧→', '10 s'],
    ['space', 'play'],
    ['u ⇧u', 'update'],
    ['e ⇧e', 'event'],
    ['+ − 0', 'zoom'],
    ['home end', 'ends'],
  ]
  return (
    <p class="keys muted small">
      {keys.map(([key, what]) => (
        <span key={key}>
          <kbd>{key}</kbd> {what}
        </span>
      ))}
    </p>
  )
}
