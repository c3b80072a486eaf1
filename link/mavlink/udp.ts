import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { type Clock, UserError } from '@kestrel/runtime'
import type { Address, Exchange, Line, Transport } from './transport.js'

/** Who has not spoken for this long is no longer sent to, ms. */
const SILENT_MS = 30_000
const MOST_PEERS = 32

interface UdpPeer {
  line: Line
  name: string
  heardMs: number
}

/**
 * Sends to a target from the start, as SITL does to 127.0.0.1:14550, and answers whoever speaks to its own port.
 *
 * @param options.target where a ground station listens
 * @param options.onlyTarget hears nobody else
 * @param options.bind own address; without it any free port, of this machine only where the target is on it too
 */
export class Udp implements Transport {
  readonly #options: { target?: Address; onlyTarget?: boolean; bind?: Address; clock: Clock }
  readonly #peers = new Map<string, UdpPeer>()
  #socket: Socket | undefined
  #targetKey: string | undefined

  constructor(options: { target?: Address; onlyTarget?: boolean; bind?: Address; clock: Clock }) {
    this.#options = options
  }

  get port(): number {
    return this.#socket?.address().port ?? 0
  }

  async start(exchange: Exchange): Promise<void> {
    const { target, bind, clock } = this.#options
    const address = target && (await this.#resolve(target))
    // Who speaks to this machine alone is not to be spoken to from outside.
    const isLocal = address?.startsWith('127.') ?? false
    const { host, port } = bind ?? { host: isLocal ? '127.0.0.1' : '0.0.0.0', port: 0 }
    const socket = createSocket('udp4')
    this.#socket = socket
    await new Promise<void>((resolve, reject) => {
      socket.once('error', cause =>
        reject(new UserError(`Cannot listen on UDP ${host}:${port}: ${cause.message}`, { cause })),
      )
      socket.bind(port, host, resolve)
    })
    socket.removeAllListeners('error')
    // An unreachable target or a full buffer is a lost datagram, nothing more.
    socket.on('error', () => {})
    socket.on('message', (bytes, from) => {
      if (this.#options.onlyTarget && `${from.address}:${from.port}` !== this.#targetKey) return
      const peer = this.#peer(from.address, from.port, exchange)
      if (peer === undefined) return
      peer.heardMs = clock.nowMs()
      exchange.received(peer.line, bytes)
    })
    if (target !== undefined && address !== undefined) {
      this.#targetKey = `${address}:${target.port}`
      this.#peer(address, target.port, exchange)
    }
  }

  async stop(): Promise<void> {
    const socket = this.#socket
    this.#socket = undefined
    if (socket !== undefined) await new Promise<void>(resolve => socket.close(resolve))
  }

  async #resolve({ host }: Address): Promise<string> {
    try {
      return (await lookup(host, 4)).address
    } catch (cause) {
      throw new UserError(`Cannot find the host ${host} for MAVLink over UDP`, { cause })
    }
  }

  #peer(address: string, port: number, exchange: Exchange): UdpPeer | undefined {
    const key = `${address}:${port}`
    const known = this.#peers.get(key)
    if (known !== undefined) return known
    this.#forgetSilent(exchange)
    if (this.#peers.size >= MOST_PEERS) return undefined
    const line: Line = { write: frame => this.#socket?.send(frame, port, address, () => {}) }
    const peer = { line, name: `udp ${key}`, heardMs: this.#options.clock.nowMs() }
    this.#peers.set(key, peer)
    exchange.opened(line, peer.name)
    return peer
  }

  #forgetSilent(exchange: Exchange) {
    const now = this.#options.clock.nowMs()
    for (const [key, { line, name, heardMs }] of this.#peers) {
      if (key === this.#targetKey || now - heardMs < SILENT_MS) continue
      this.#peers.delete(key)
      exchange.closed(line, name)
    }
  }
}
