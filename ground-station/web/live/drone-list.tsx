import { number, percent, points } from '../shared/format.js'
import { placeHash } from '../shared/route.js'
import { healthOf } from './health.js'
import type { LiveDrone } from './store.js'

/** All drones with their state; the chosen one is marked. */
export function DroneList(props: { drones: LiveDrone[]; chosen: string | undefined; nowMs: number }) {
  return (
    <nav class="drones" aria-label="Drones">
      {props.drones.map(({ state }) => {
        const { name, miou, telemetry, vehicle, modelVersion } = state
        const { health, word } = healthOf(state, props.nowMs)
        return (
          <a
            key={name}
            class="drone card"
            href={placeHash([name])}
            aria-current={name === props.chosen ? 'true' : undefined}
          >
            <span class="drone-head">
              <b>{name}</b>
              <span class={`badge ${health}`}>{word}</span>
            </span>
            <span class="drone-figures">
              <span>
                <span class="muted">mIoU</span> {percent(miou?.adapting)}{' '}
                {miou && (
                  <span class={miou.adapting >= miou.frozen ? 'good' : 'bad'}>
                    {points(miou.adapting - miou.frozen)}
                  </span>
                )}
              </span>
              <span>
                <span class="muted">version</span> {modelVersion}
              </span>
              <span>
                <span class="muted">fps</span> {number(telemetry?.fps, 1)}
              </span>
              <span>
                <span class="muted">battery</span> {number(vehicle?.batteryPercent, 0, '%')}
              </span>
            </span>
          </a>
        )
      })}
    </nav>
  )
}
