import {
  type Address,
  type Exchange,
  type Line,
  Persistent,
  Serial,
  TcpServer,
  type Transport,
  Udp,
} from '@kestrel/link/mavlink'
import type { Clock, Log } from '@kestrel/runtime'
import type { Flight } from '../mission/plan.js'
import { type Announcement, announcementsOf, greeting } from './announcements.js'
import type { Home } from './geodesy.js'
import { Peer } from './peer.js'
import { Vehicle } from './vehicle.js'

export interface AutopilotOptions {
  flight: Flight
  home: Home
  clock: Clock
  log: Log
  /** The clock's time (ms) at which the flight's time is 0: that of the camera too. Without it the flight begins now. */
  startMs?: number
  /** Seconds of flight in a second of the clock; rates of messages are in the clock's time. */
  speed?: number
  listen: {
    udp?: { target?: Address; bind?: Address }
    tcp?: Address
    serial?: { path: string; baudRate?: number }
    /** Other ways in and out, such as a test's own. */
    others?: Transport[]
  }
}

export interface Autopilot {
  /** The ports that are listened on, where there are some. */
  readonly ports: { udp?: number; tcp?: number }
  readonly vehicle: Vehicle
  stop(): Promise<void>
}

/**
 * Starts a vehicle that flies `flight` and speaks MAVLink 2 as ArduCopter does, to all who listen.
 *
 * @throws UserError where an address or device cannot be had, or home is no place
 */
export async function startAutopilot(options: AutopilotOptions): Promise<Autopilot> {
  const { flight, home, clock, log, listen, speed = 1 } = options
  const startMs = options.startMs ?? clock.nowMs()
  const vehicle = new Vehicle({ flight, home, clock, startMs, speed })
  const exchange = new Switchboard(vehicle, clock, log)
  const udp = listen.udp && new Udp({ ...listen.udp, clock })
  const tcp = listen.tcp && new TcpServer(listen.tcp)
  const serial = listen.serial && openSerial(listen.serial, clock)
  const transports = [udp, tcp, serial, ...(listen.others ?? [])].filter(each => each !== undefined)
  const stop = async () => {
    await exchange.stop()
    await Promise.all(transports.map(transport => transport.stop()))
  }
  try {
    for (const transport of transports) await transport.start(exchange)
  } catch (error) {
    await stop()
    throw error
  }
  exchange.start()
  return { ports: { udp: udp?.port, tcp: tcp?.port }, vehicle, stop }
}

/** Opened again after it was lost, but there must be one at the start. */
function openSerial(serial: { path: string; baudRate?: number }, clock: Clock): Transport {
  const open = () => new Serial({ baudRate: 115_200, ...serial })
  const retryMs = { minMs: 1000, maxMs: 2000 }
  return new Persistent(open, { clock, seed: serial.path, firstMustOpen: true, retryMs })
}

/** Connects lines with peers, and sends what is due to each at its time. */
class Switchboard implements Exchange {
  readonly #vehicle: Vehicle
  readonly #clock: Clock
  readonly #log: Log
  readonly #peers = new Map<Line, Peer>()
  readonly #announcements: Announcement[]
  readonly #stopped = new AbortController()
  #wake = new AbortController()
  #running: Promise<void> | undefined

  constructor(vehicle: Vehicle, clock: Clock, log: Log) {
    this.#vehicle = vehicle
    this.#clock = clock
    this.#log = log
    // What was said before we began is past; what is said right now is not.
    const { bootMs } = vehicle.now()
    this.#announcements = announcementsOf(vehicle.flight, vehicle.plan).filter(
      ({ timeS }) => timeS * 1000 >= bootMs,
    )
  }

  start() {
    this.#running = this.#run()
  }

  async stop() {
    this.#stopped.abort()
    this.#wake.abort()
    await this.#running
  }

  opened(line: Line, name: string) {
    this.#log.info(`MAVLink to ${name}`)
    const peer = new Peer(
      this.#vehicle,
      frame => line.write(frame),
      () => this.#wake.abort(),
    )
    this.#peers.set(line, peer)
    peer.send(greeting)
    this.#wake.abort()
  }

  received(line: Line, bytes: Uint8Array) {
    this.#peers.get(line)?.receive(bytes)
  }

  closed(line: Line, name: string) {
    if (this.#peers.delete(line)) this.#log.info(`MAVLink no longer to ${name}`)
  }

  async #run() {
    while (!this.#stopped.signal.aborted) {
      this.#wake = new AbortController()
      this.#announceDue()
      for (const peer of this.#peers.values()) peer.sendDue()
      const next = Math.min(
        this.#nextAnnouncementMs(),
        ...[...this.#peers.values()].map(peer => peer.nextMs()),
      )
      const waitMs = Math.min(next - this.#clock.nowMs(), 1000)
      // A clock that counts whole milliseconds may wake a little early; then there is nothing due yet, and it waits again.
      await this.#clock.sleep(Math.max(waitMs, 0.5), this.#wake.signal)
    }
  }

  #announceDue() {
    const now = this.#clock.nowMs()
    while (this.#nextAnnouncementMs() <= now) {
      const { data } = this.#announcements.shift()!
      for (const peer of this.#peers.values()) peer.send(data)
    }
  }

  #nextAnnouncementMs(): number {
    const next = this.#announcements[0]
    return next === undefined ? Number.POSITIVE_INFINITY : this.#vehicle.clockMsAt(next.timeS)
  }
}
