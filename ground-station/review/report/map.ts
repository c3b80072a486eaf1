import type { FlightEvent, Track } from '../api.js'
import { html, type Markup } from './markup.js'
import { ticks } from './plot.js'

const SIDE = 360
const METRES_PER_DEGREE = 111_195

/** The way that was flown, in metres around its middle, north up, with a grid and the places of events. */
export function map(track: Track, events: FlightEvent[]): Markup | undefined {
  const { latitudeDeg, longitudeDeg, timesMs } = track
  if (timesMs.length < 2) return undefined
  const [south, north] = bounds(latitudeDeg)
  const [west, east] = bounds(longitudeDeg)
  const perLongitude = METRES_PER_DEGREE * Math.cos((((south + north) / 2) * Math.PI) / 180)
  const metres = Math.max(20, (north - south) * METRES_PER_DEGREE, (east - west) * perLongitude) * 1.15
  const x = (longitude: number) =>
    (((longitude - (west + east) / 2) * perLongitude) / metres) * SIDE + SIDE / 2
  const y = (latitude: number) =>
    SIDE / 2 - (((latitude - (south + north) / 2) * METRES_PER_DEGREE) / metres) * SIDE
  const step = ticks(0, metres, 5)[1] ?? metres
  const lines = Array.from({ length: 12 }, (_, i) => (((i - 6) * step) / metres) * SIDE + SIDE / 2).filter(
    at => at > 0 && at < SIDE,
  )
  const place = (ms: number) => {
    let best = 0
    for (let i = 1; i < timesMs.length; i++) {
      if (Math.abs(timesMs[i] - ms) < Math.abs(timesMs[best] - ms)) best = i
    }
    return { cx: x(longitudeDeg[best]).toFixed(1), cy: y(latitudeDeg[best]).toFixed(1) }
  }
  const way = timesMs.map((_, i) => `${x(longitudeDeg[i]).toFixed(1)},${y(latitudeDeg[i]).toFixed(1)}`)
  const dots = events.filter(({ type }) => ['update-applied', 'update-refused', 'rolled-back'].includes(type))
  return html`<figure class="map"><svg viewBox="0 0 ${SIDE} ${SIDE}" role="img" aria-label="Map of the flight">
<rect width="${SIDE}" height="${SIDE}" fill="#f6f8fa"/>
${lines.map(at => html`<path d="M${at.toFixed(1)} 0V${SIDE}M0 ${at.toFixed(1)}H${SIDE}" class="grid"/>`)}
<polyline points="${way.join(' ')}" fill="none" stroke="#0a5cad" stroke-width="2.5" stroke-linejoin="round"/>
${dots.map(event => {
  const { cx, cy } = place(event.timeMs)
  return html`<circle cx="${cx}" cy="${cy}" r="4" fill="${event.type === 'update-applied' ? '#116329' : '#b3121d'}" stroke="#fff"><title>${event.text}</title></circle>`
})}
<circle cx="${place(timesMs[0]).cx}" cy="${place(timesMs[0]).cy}" r="6" fill="none" stroke="#0b0f14" stroke-width="2"/>
<text x="10" y="18">N ↑</text><text x="10" y="${SIDE - 10}">grid ${step >= 1000 ? `${step / 1000} km` : `${step} m`}</text></svg>
<figcaption>${latitudeDeg[0].toFixed(5)}°, ${longitudeDeg[0].toFixed(5)}° (ring: the beginning; dots: updates)</figcaption></figure>`
}

function bounds(values: number[]): [number, number] {
  return values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  )
}
