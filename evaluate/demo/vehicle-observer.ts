import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { FrameReader } from '@kestrel/link/mavlink'

const modes: Record<number, string> = {
  0: 'STABILIZE',
  3: 'AUTO',
  4: 'GUIDED',
  5: 'LOITER',
  6: 'RTL',
  9: 'LAND',
}

/** Where the vehicle says it is, in its own words: MAVLink over UDP, as a ground station hears it. */
export class VehicleObserver {
  latitude = 0
  longitude = 0
  /** Above home, m. */
  heightM = 0
  speedMps = 0
  headingDeg = 0
  mode = ''
  armed = false
  /** The last STATUSTEXT. */
  text = ''
  heardMs: number | undefined
  readonly #socket: Socket = createSocket('udp4')
  readonly #reader = new FrameReader()

  /** @returns the port that it listens on, on 127.0.0.1 */
  async start(): Promise<number> {
    this.#socket.on('message', bytes => this.#take(bytes))
    this.#socket.bind(0, '127.0.0.1')
    await once(this.#socket, 'listening')
    return this.#socket.address().port
  }

  stop(): void {
    this.#socket.close()
  }

  /** A line for people. */
  describe(): string {
    if (this.heardMs === undefined) return 'the vehicle has not been heard yet'
    if (performance.now() - this.heardMs > 3000) return 'the vehicle is silent'
    const place = `${this.latitude.toFixed(5)}, ${this.longitude.toFixed(5)}`
    return (
      `${this.armed ? this.mode : 'disarmed'}  ${place}  ${this.heightM.toFixed(0)} m up  ` +
      `${this.speedMps.toFixed(1)} m/s  heading ${this.headingDeg.toFixed(0)}°${this.text === '' ? '' : `  "${this.text}"`}`
    )
  }

  #take(bytes: Buffer): void {
    for (const { data } of this.#reader.read(bytes)) {
      this.heardMs = performance.now()
      const message = data as unknown as Record<string, number | string>
      switch ((data.constructor as unknown as { MSG_NAME: string }).MSG_NAME) {
        case 'HEARTBEAT':
          this.armed = (Number(message.baseMode) & 128) !== 0
          this.mode = modes[Number(message.customMode)] ?? `mode ${message.customMode}`
          break
        case 'GLOBAL_POSITION_INT':
          this.latitude = Number(message.lat) / 1e7
          this.longitude = Number(message.lon) / 1e7
          this.heightM = Number(message.relativeAlt) / 1000
          this.headingDeg = Number(message.hdg) / 100
          break
        case 'VFR_HUD':
          this.speedMps = Number(message.groundspeed)
          break
        case 'STATUSTEXT':
          this.text = String(message.text)
      }
    }
  }
}
