import { type BoardReadings, type PilotControls, Vehicle, type VehicleOptions } from '@kestrel/agent'
import { silentLog, VirtualClock } from '@kestrel/runtime'
import { type Autopilot, type Flight, startAutopilot } from '@kestrel/simulator'
import { home } from '../simulator/flights.js'
import { buildFrame, type Frame, FrameCutter, parseFrame, type Values } from '../support/mavlink.js'
import { WireEnd } from '../support/wire.js'
import { keptLog } from './support.js'

export const startMs = Date.UTC(2026, 5, 1, 9, 30)

/** What a pilot may change, kept in a plain object. */
export function controls() {
  const kept = { learning: true, minFps: 0.1, maxFps: 1, pauseOnGround: true, rolledBack: 0 }
  const all: PilotControls = {
    learning: {
      get: () => kept.learning,
      set: on => {
        kept.learning = on
      },
    },
    samplingLimits: { get: () => kept, set: limits => void Object.assign(kept, limits) },
    pauseOnGround: {
      get: () => kept.pauseOnGround,
      set: on => {
        kept.pauseOnGround = on
      },
    },
    rollBack: async () => {
      kept.rolledBack += 1
      return { version: 4 }
    },
  }
  return { kept, all }
}

/** A vehicle link on a virtual clock, whose other end is in the test's hands, or the simulator's autopilot. */
export async function companion(options: Partial<VehicleOptions> & { board?: BoardReadings } = {}) {
  const clock = new VirtualClock(startMs)
  const [ours, theirs] = WireEnd.pair()
  const log = keptLog()
  const pilot = controls()
  const vehicle = new Vehicle({
    transport: ours,
    rates: new Map([
      [30, 20],
      [33, 10],
      [245, 1],
    ]),
    controls: pilot.all,
    reportMs: 2000,
    clock,
    log,
    ...options,
  })
  const heard: Frame[] = []
  const cutter = new FrameCutter()
  let sequence = 0
  const listen = () =>
    theirs.start({
      opened() {},
      received: (_, bytes) => {
        for (const frame of cutter.push(bytes)) heard.push(parseFrame(frame))
      },
      closed() {},
    })
  await vehicle.start()
  const flyTo = async (seconds: number) => {
    await new Promise(resolve => setImmediate(resolve))
    await clock.advanceTo(startMs + 1000 * seconds)
  }
  return {
    clock,
    vehicle,
    log,
    ours,
    theirs,
    pilot: pilot.kept,
    heard,
    listen,
    flyTo,
    named: (name: string) => heard.filter(frame => frame.name === name),
    /** Says something to the companion. */
    say: (name: string, values: Values, from?: { system: number; component: number }) =>
      ours.hear(buildFrame(name, values, sequence++, from)),
    /** The simulator's autopilot at the other end. */
    autopilot: (flight: Flight): Promise<Autopilot> =>
      startAutopilot({ flight, home, clock, log: silentLog, startMs, listen: { others: [theirs] } }),
  }
}

/** HEARTBEAT (#0) of an ArduCopter that flies in mode AUTO. */
export const copterBeat = {
  type: 2,
  autopilot: 3,
  base_mode: 0x81,
  custom_mode: 3,
  system_status: 4,
  mavlink_version: 3,
}
export const autopilot1 = { system: 1, component: 1 }
