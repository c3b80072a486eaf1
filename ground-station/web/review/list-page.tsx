import { useState } from 'preact/hooks'
import { bytes, dateAndTime, duration, gainClass, percent, points } from '../shared/format.js'
import { goTo, placeHash } from '../shared/route.js'
import { type FlightEntry, listFlights } from './data.js'
import { useLoaded, Waiting } from './loading.js'

/** All flights of the folder, newest first; two can be marked and compared. */
export function ListPage() {
  const { value, error } = useLoaded(listFlights, 'list')
  const [marked, mark] = useState<string[]>([])
  if (value === undefined) return <Waiting error={error} what="the flights" />
  const { flights, root } = value
  const toggle = (id: string) =>
    mark(now => (now.includes(id) ? now.filter(one => one !== id) : [...now, id].slice(-2)))
  if (flights.length === 0) {
    return (
      <div class="empty">
        <p>No flight is logged in {root} yet.</p>
        <p>
          A flight is logged from arming to disarming; logs of a telemetry link (.tlog) and of PX4 (.ulg) open
          here, too.
        </p>
      </div>
    )
  }
  return (
    <>
      <div class="title-row">
        <h1>Flights</h1>
        <span class="muted">{root}</span>
        <button
          type="button"
          class="primary end"
          disabled={marked.length !== 2}
          onClick={() => goTo(placeHash(['compare', ...marked]))}
        >
          {marked.length === 2 ? 'Compare the two' : 'Mark two to compare'}
        </button>
      </div>
      <div class="card scroll-x">
        <table class="flights">
          <thead>
            <tr>
              <th scope="col">
                <span class="visually-hidden">Compare</span>
              </th>
              <th scope="col">Flight</th>
              <th scope="col">When</th>
              <th scope="col">Where</th>
              <th scope="col" class="num">
                Duration
              </th>
              <th scope="col" class="num">
                mIoU
              </th>
              <th scope="col" class="num">
                Gain
              </th>
              <th scope="col" class="num">
                Updates
              </th>
              <th scope="col" class="num">
                Events
              </th>
              <th scope="col" class="num">
                Size
              </th>
            </tr>
          </thead>
          <tbody>
            {flights.map(flight => (
              <Row
                key={flight.id}
                flight={flight}
                marked={marked.includes(flight.id)}
                onMark={() => toggle(flight.id)}
              />
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}

function Row({ flight, marked, onMark }: { flight: FlightEntry; marked: boolean; onMark: () => void }) {
  const { id, problem, kind, drone, miou, place } = flight
  if (problem !== undefined) {
    return (
      <tr>
        <td />
        <th scope="row">{id}</th>
        <td colSpan={8} class="bad">
          {problem}
        </td>
      </tr>
    )
  }
  const gain = miou === undefined ? undefined : miou.adapting - miou.frozen
  return (
    <tr class={marked ? 'marked' : ''}>
      <td>
        <input type="checkbox" checked={marked} onChange={onMark} aria-label={`Mark ${id} to compare`} />
      </td>
      <th scope="row">
        <a href={placeHash(['flight', id])}>{drone || id}</a>
        <div class="muted small">{id}</div>
      </th>
      <td>{flight.dated || kind !== 'kestrel' ? dateAndTime(flight.beginMs) : '–'}</td>
      <td>
        {place === undefined ? '–' : `${place.latitudeDeg.toFixed(4)}°, ${place.longitudeDeg.toFixed(4)}°`}
      </td>
      <td class="num">
        {flight.endMs > flight.beginMs ? duration((flight.endMs - flight.beginMs) / 1000) : '–'}
        {flight.complete ? null : <div class="small warn">no end</div>}
      </td>
      <td class="num">{percent(miou?.adapting)}</td>
      <td class={`num ${gainClass(gain)}`}>
        <b>{points(gain)}</b>
      </td>
      <td class="num">
        {kind === 'kestrel' ? flight.updates : '–'}
        {flight.refused > 0 ? <div class="small warn">{flight.refused} refused</div> : null}
      </td>
      <td class="num">{flight.events || '–'}</td>
      <td class="num">{bytes(flight.bytes)}</td>
    </tr>
  )
}
