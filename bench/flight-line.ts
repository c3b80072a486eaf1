import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { encode, FrameReader, message } from '@kestrel/link/mavlink'
import { type AutopilotOptions, serialCable } from '@kestrel/simulator'
import { minimal } from 'mavlink-mappings'

/** Between the simulator's autopilot and the agent. */
export interface FlightLine {
  /** `vehicle.endpoint` of the agent. */
  endpoint: string
  listen: AutopilotOptions['listen']
  close(): void
}

/** @param onBeat told of each heartbeat of the agent, when it comes */
export function openLine(
  kind: 'serial' | 'udp',
  options: { udpPort: number; onBeat: () => void },
): FlightLine | Promise<FlightLine> {
  const hear = beats(options.onBeat)
  return kind === 'serial' ? overSerial(hear) : overUdp(hear, options.udpPort)
}

function beats(onBeat: () => void): (bytes: Uint8Array) => void {
  const reader = new FrameReader()
  return bytes => {
    for (const { from, data } of reader.read(bytes)) {
      if (from.component === 191 && data instanceof minimal.Heartbeat) onBeat()
    }
  }
}

function overSerial(hear: (bytes: Uint8Array) => void): FlightLine {
  const cable = serialCable((end, bytes) => {
    if (end === 1) hear(bytes)
  })
  return {
    endpoint: `serial:${cable.ends[1]}:921600`,
    listen: { serial: { path: cable.ends[0], baudRate: 921_600 } },
    close: () => cable.close(),
  }
}

/** A ground station on the same port hears the heartbeats. */
async function overUdp(hear: (bytes: Uint8Array) => void, port: number): Promise<FlightLine> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  socket.on('message', hear)
  const own = message(minimal.Heartbeat, {
    type: minimal.MavType.GCS,
    autopilot: minimal.MavAutopilot.INVALID,
    baseMode: 0 as minimal.MavModeFlag,
    customMode: 0,
    systemStatus: minimal.MavState.ACTIVE,
    mavlinkVersion: 3,
  })
  const timer = setInterval(
    () => socket.send(encode(own, 0, { system: 255, component: 190 }), port, '127.0.0.1'),
    1000,
  )
  return {
    endpoint: `udpin:127.0.0.1:${port}`,
    listen: { udp: { target: { host: '127.0.0.1', port } } },
    close: () => {
      clearInterval(timer)
      socket.close()
    },
  }
}
