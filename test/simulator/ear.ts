import { silentLog, VirtualClock } from '@kestrel/runtime'
import { type Autopilot, type Flight, startAutopilot } from '@kestrel/simulator'
import { type Frame, FrameCutter, parseFrame } from '../support/mavlink.js'
import { home } from './flights.js'

/** Any moment; the flight's time is 0 then. */
export const startMs = Date.UTC(2026, 5, 1, 9, 30)

/** A line without a socket: hears every frame with its time, and can say anything. */
export class Ear {
  readonly heard: (Frame & { atMs: number })[] = []
  readonly bytes: Buffer[] = []
  readonly #clock: VirtualClock
  readonly #cutter = new FrameCutter()
  say: (bytes: Uint8Array) => void = () => {}

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  async start(exchange: Exchange): Promise<void> {
    const line = {
      write: (frame: Buffer) => {
        this.bytes.push(frame)
        for (const whole of this.#cutter.push(frame)) {
          this.heard.push({ ...parseFrame(whole), atMs: this.#clock.nowMs() - startMs })
        }
      },
    }
    this.say = bytes => exchange.received(line, bytes)
    exchange.opened(line, 'an ear')
  }

  async stop(): Promise<void> {}

  named(name: string) {
    return this.heard.filter(frame => frame.name === name)
  }
}

type Exchange = Parameters<
  NonNullable<Parameters<typeof startAutopilot>[0]['listen']['others']>[number]['start']
>[0]

/** An autopilot on a virtual clock, and as many ears as wanted. */
export async function listenTo(
  flight: Flight,
  ears = 1,
): Promise<{ autopilot: Autopilot; clock: VirtualClock; ears: Ear[]; flyTo(timeS: number): Promise<void> }> {
  const clock = new VirtualClock(startMs)
  const others = Array.from({ length: ears }, () => new Ear(clock))
  const autopilot = await startAutopilot({ flight, home, clock, log: silentLog, listen: { others } })
  const flyTo = async (timeS: number) => {
    // Who was just woken by something said goes back to sleep first.
    await new Promise(resolve => setImmediate(resolve))
    await clock.advanceTo(startMs + timeS * 1000)
  }
  return { autopilot, clock, ears: others, flyTo }
}
