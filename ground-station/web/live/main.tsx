import { render } from 'preact'
import { useState } from 'preact/hooks'
import '../shared/style.css'
import { duration, timeOfDay } from '../shared/format.js'
import { usePlace } from '../shared/route.js'
import { Shell } from '../shared/shell.js'
import { Controls } from './controls.js'
import { DroneList } from './drone-list.js'
import { Figures } from './figures.js'
import { healthOf } from './health.js'
import './live.css'
import { LiveMap } from './live-map.js'
import { Plots } from './plots.js'
import { LiveStore, useStore } from './store.js'
import { Events, Updates } from './tables.js'
import { Views } from './views.js'

const store = new LiveStore()
store.connect()

function App() {
  useStore(store)
  const [chosenName] = usePlace().path
  const [windowS, setWindow] = useState(600)
  const { hello, connected, lostMs } = store
  const nowMs = store.nowMs()
  const drones = [...store.drones.values()].sort((a, b) => a.state.name.localeCompare(b.state.name))
  const drone = drones.find(({ state }) => state.name === chosenName) ?? drones[0]
  const aside = (
    <span role="status" class={connected ? 'muted' : 'bad'}>
      {connected
        ? timeOfDay(nowMs)
        : hello === undefined
          ? 'Connecting…'
          : `No ground station since ${timeOfDay(lostMs)}`}
    </span>
  )
  if (hello === undefined || drone === undefined) {
    return (
      <Shell page="live" aside={aside}>
        <h1 class="visually-hidden">Live</h1>
        <div class="card empty">
          <h2>{hello === undefined ? 'Looking for the ground station…' : 'No drone yet'}</h2>
          {hello !== undefined && (
            <p>
              The ground station listens. A drone appears here as soon as its agent connects:{' '}
              <code>kestrel-agent run --config agent.yaml</code>
            </p>
          )}
        </div>
        {store.events.length > 0 && <Events events={store.events} />}
      </Shell>
    )
  }
  const { state } = drone
  const { health, word, notes } = healthOf(state, nowMs)
  const reachable = connected && state.online && word !== 'Link lost'
  return (
    <Shell page="live" aside={aside}>
      <div class={drones.length > 1 ? 'live several' : 'live'}>
        {drones.length > 1 && <DroneList drones={drones} chosen={state.name} nowMs={nowMs} />}
        <div class={`detail ${reachable ? '' : 'stale'}`}>
          <div class="title">
            <h1>{state.name}</h1>
            <span class={`badge ${health}`}>{word}</span>
            <span class="muted">
              {state.student}
              {state.flight && `, flight ${state.flight}`}
            </span>
          </div>
          {(notes.length > 0 || !connected) && (
            <p class={`notice ${connected ? health : 'bad'}`} role="alert">
              {connected
                ? `${notes.join('; ')}`
                : `The ground station has not answered for ${duration((Date.now() - (lostMs ?? Date.now())) / 1000)}: this page shows what it knew then, and tries on.`}
            </p>
          )}
          <Views drone={state.name} info={state.view} hello={hello} nowMs={nowMs} />
          <Figures drone={drone} hello={hello} />
          <div class="columns">
            <Plots drone={drone} hello={hello} nowMs={nowMs} windowS={windowS} onWindow={setWindow} />
            <LiveMap drones={drones} chosen={state.name} tiles={hello.tiles} />
          </div>
          <div class="columns three">
            <Controls key={state.name} state={state} reachable={reachable} />
            <Updates updates={drone.updates} />
            <Events events={store.events.filter(event => event.drone === state.name)} />
          </div>
        </div>
      </div>
    </Shell>
  )
}

render(<App />, document.getElementById('app')!)
