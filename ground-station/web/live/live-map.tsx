import { useMemo } from 'preact/hooks'
import { type Position, type Track, TrackMap } from '../shared/track-map.js'
import type { LiveDrone } from './store.js'

const colours = ['--series-1', '--series-2', '--series-3', '--series-4']

/** Where all drones are and were; the chosen one is drawn stronger. */
export function LiveMap(props: { drones: LiveDrone[]; chosen: string; tiles?: string }) {
  const { drones, chosen, tiles } = props
  // Drawn anew where somebody has moved, not with every number that changes.
  const moved = drones.map(({ history }) => history.column('latitude'))
  const tracks = useMemo(
    () =>
      drones.flatMap((drone, i) => trackOf(drone, colours[i % colours.length], drone.state.name === chosen)),
    [chosen, ...moved],
  )
  return (
    <section class="card" aria-label="Map">
      <h2>Map {tracks.length === 0 && <span class="muted">no position is known yet</span>}</h2>
      <TrackMap
        tracks={tracks}
        tiles={tiles}
        follow
        label={`Map with the tracks of ${tracks.map(({ name }) => name).join(', ') || 'no drone'}`}
      />
    </section>
  )
}

function trackOf({ state, history }: LiveDrone, colour: string, chosen: boolean): Track[] {
  const latitudes = history.column('latitude')
  const longitudes = history.column('longitude')
  const points: Position[] = []
  for (let i = 0; i < latitudes.length; i++) {
    const [latitude, longitude] = [latitudes[i], longitudes[i]]
    if (latitude !== null && longitude !== null) points.push([latitude, longitude])
  }
  const at = points.at(-1)
  if (at === undefined) return []
  return [
    { name: state.name, colour, points, at, headingDeg: history.last('headingDeg') ?? undefined, chosen },
  ]
}
