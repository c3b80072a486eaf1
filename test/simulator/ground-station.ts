import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { buildFrame, type Frame, FrameCutter, parseFrame, type Values } from '../support/mavlink.js'

/** A ground station that speaks through the tests' own MAVLink, over any way out. */
export class GroundStation {
  readonly heard: Frame[] = []
  readonly #send: (bytes: Buffer) => void
  readonly #close: () => void
  readonly #waiting = new Set<() => void>()
  #sequence = 0

  constructor(send: (bytes: Buffer) => void, close: () => void) {
    this.#send = send
    this.#close = close
  }

  hear(frame: Buffer) {
    this.heard.push(parseFrame(frame))
    for (const check of this.#waiting) check()
  }

  sendBytes(bytes: Buffer) {
    this.#send(bytes)
  }

  send(name: string, values: Values) {
    this.#send(buildFrame(name, values, this.#sequence++))
  }

  /** The next message of this name, from `since` (a count of messages) on, that suits. */
  next(
    name: string,
    suits: (values: Values) => boolean = () => true,
    since = this.heard.length,
  ): Promise<Values> {
    return new Promise(resolve => {
      const check = () => {
        const found = this.heard.slice(since).find(frame => frame.name === name && suits(frame.values))
        if (found === undefined) return
        this.#waiting.delete(check)
        resolve(found.values)
      }
      this.#waiting.add(check)
      check()
    })
  }

  /** Sends, and waits for the answer. */
  ask(name: string, values: Values, answer: string, suits?: (values: Values) => boolean): Promise<Values> {
    const since = this.heard.length
    this.send(name, { target_system: 1, target_component: 1, ...values })
    return this.next(answer, suits, since)
  }

  /** COMMAND_LONG; resolves to the MAV_RESULT. */
  async command(command: number, params: number[] = []): Promise<number> {
    const fields = Object.fromEntries(params.map((value, i) => [`param${i + 1}`, value]))
    const ack = await this.ask(
      'COMMAND_LONG',
      { command, ...fields },
      'COMMAND_ACK',
      v => v.command === command,
    )
    return Number(ack.result)
  }

  close() {
    this.#close()
  }
}

export async function overTcp(port: number): Promise<GroundStation> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const cutter = new FrameCutter()
  const station = new GroundStation(
    bytes => socket.write(bytes),
    () => socket.destroy(),
  )
  socket.on('data', bytes => {
    for (const frame of cutter.push(bytes)) station.hear(frame)
  })
  return station
}

/** Speaks first, as a ground station's outgoing link does. */
export async function overUdp(port: number): Promise<GroundStation> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const station = new GroundStation(
    bytes => socket.send(bytes, port, '127.0.0.1'),
    () => socket.close(),
  )
  socket.on('message', datagram => station.hear(datagram))
  station.send('HEARTBEAT', { type: 6, autopilot: 8, mavlink_version: 3 })
  return station
}
