import type { ComponentChildren } from 'preact'
import type { DroneState, Hello } from '../../dashboard/wire.js'
import { bytes, duration, gainClass, kbps, number, percent, points } from '../shared/format.js'
import type { LiveDrone } from './store.js'

function Figure(props: { name: string; value: ComponentChildren; note?: ComponentChildren; tone?: string }) {
  return (
    <div class="figure card">
      <dt>{props.name}</dt>
      <dd>
        <span class={`figure-value ${props.tone ?? ''}`}>{props.value}</span>
        <span class="figure-note">{props.note ?? ' '}</span>
      </dd>
    </div>
  )
}

/** The numbers that say at a glance how the flight goes. */
export function Figures({ drone, hello }: { drone: LiveDrone; hello: Hello }) {
  const { state, updates } = drone
  const { miou, telemetry, phase, upKbps, downKbps, vehicle, board, learning } = state
  const last = updates.find(row => row.bytes !== undefined)
  const gain = miou && miou.adapting - miou.frozen
  const held = (learning?.holds.length ?? 0) > 0
  return (
    <dl class="figures">
      <Figure
        name={`mIoU, last ${duration(hello.scores.windowS)}`}
        value={percent(miou?.adapting)}
        note={
          miou ? `${points(gain)} points against ${percent(miou.frozen)} frozen` : 'no frame was judged yet'
        }
        tone={gainClass(gain)}
      />
      <Figure
        name="Sampling"
        value={held ? 'none' : `${number(telemetry?.samplingFps, 2)} /s`}
        note={`φ ${number(phase?.phi, 2)}, T_update ${duration(phase?.updatePeriodS)}`}
        tone={held ? 'warn' : ''}
      />
      <Figure
        name="Version"
        value={state.modelVersion}
        note={last === undefined ? 'no update yet' : `last update ${bytes(last.bytes)}`}
      />
      <Figure
        name="Up"
        value={kbps(upKbps)}
        note={<Budget used={upKbps} most={hello.uplinkKbps} />}
        tone={upKbps > 1.1 * hello.uplinkKbps ? 'warn' : ''}
      />
      <Figure name="Down" value={kbps(downKbps)} note="last 30 s" />
      <Figure
        name="Camera to label"
        value={number(telemetry?.latencyP50Ms, 0, 'ms')}
        note={`99 %: ${number(telemetry?.latencyP99Ms, 0, 'ms')}`}
      />
      <Figure
        name="Frames"
        value={`${number(telemetry?.fps, 1)} /s`}
        note={telemetry && `${telemetry.framesDropped} of ${telemetry.frames} came too fast`}
      />
      <Figure
        name="Board"
        value={temperature(board)}
        note={boardNote(board)}
        tone={board?.troubles.length ? 'warn' : ''}
      />
      <Figure
        name="Battery"
        value={number(vehicle?.batteryPercent, 0, '%')}
        note={
          vehicle === undefined
            ? 'no autopilot'
            : `${number(vehicle.batteryV, 1, 'V')}, ${number(vehicle.batteryA, 1, 'A')}`
        }
        tone={(vehicle?.batteryPercent ?? 100) < 25 ? 'bad' : ''}
      />
      <Figure
        name="Vehicle"
        value={vehicle?.connected ? vehicle.mode || '–' : '–'}
        note={vehicleNote(vehicle)}
      />
    </dl>
  )
}

function Budget({ used, most }: { used: number; most: number }) {
  return (
    <>
      <meter min={0} max={most} value={Math.min(used, most)} aria-label="Share of the uplink budget" /> of{' '}
      {kbps(most)}
    </>
  )
}

function temperature(board: DroneState['board']): string {
  return board === undefined ? '–' : number(board.temperatureC, 0, '°C')
}

function boardNote(board: DroneState['board']): string {
  if (board === undefined) return 'not read yet'
  return `CPU ${percent(board.cpu, 0)}, memory ${percent(board.memory, 0)}`
}

function vehicleNote(vehicle: DroneState['vehicle']): string {
  if (vehicle === undefined) return 'flies without an autopilot'
  if (!vehicle.connected) return 'the autopilot is not heard'
  const where =
    vehicle.heightM === undefined
      ? 'no position'
      : `${number(vehicle.heightM, 0, 'm')}, ${number(vehicle.speedMps, 0, 'm/s')}`
  return `${vehicle.armed ? 'armed' : 'disarmed'}, ${where}`
}
