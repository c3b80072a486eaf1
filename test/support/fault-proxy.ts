import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { createRng, type Rng } from '@kestrel/runtime'

/** What the way through the proxy is like; both directions alike. */
export interface Weather {
  /** Bandwidth, kbit/s; no limit without. */
  kbps?: number
  /** Delay one way, ms. */
  delayMs?: number
  /** Lost packets, as TCP shows them: this share of all pieces (0..1) is held up for 0.3 to 3 s, and what follows waits behind it. */
  loss?: number
  /** Half-open: nothing passes, nobody is told, and new connections get no answer. */
  silent?: boolean
  /** Connections are reset, new ones refused. */
  down?: boolean
}

/** Bytes that one direction of a connection holds: the buffer of a modem, not of a server. */
const BUFFER_BYTES = 16 * 1024

/** A piece is what goes through at once: small, so that a slow way is slow evenly. */
const PIECE_BYTES = 1024

/** A TCP proxy on the loopback that does to a connection what a bad radio does, the same for the same seed and traffic. */
export class FaultProxy {
  readonly #targetPort: number
  readonly #rng: Rng
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #weather: Weather = {}
  /** Wakes each direction of each connection. */
  readonly #ways = new Set<() => void>()

  constructor(options: { targetPort: number; seed: number | string }) {
    this.#targetPort = options.targetPort
    this.#rng = createRng(`${options.seed}/proxy`)
  }

  get port(): number {
    return (this.#server!.address() as AddressInfo).port
  }

  async start(): Promise<void> {
    this.#server = createServer({ allowHalfOpen: false }, socket => this.#accept(socket))
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  /** From now on, also for the connections that are there. */
  set(weather: Weather): void {
    this.#weather = weather
    if (weather.down) for (const socket of this.#sockets) socket.destroy()
    for (const wake of this.#ways) wake()
  }

  async stop(): Promise<void> {
    this.set({ down: true })
    const server = this.#server
    if (server === undefined) return
    await new Promise(resolve => server.close(resolve))
  }

  #accept(near: Socket): void {
    if (this.#weather.down) {
      near.destroy()
      return
    }
    const far = connect(this.#targetPort, '127.0.0.1')
    for (const socket of [near, far]) {
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => this.#sockets.delete(socket))
    }
    void this.#pump(near, far)
    void this.#pump(far, near)
  }

  /** One direction. An end passes only when the way is open: on a dead one nobody hears that the other has hung up. */
  async #pump(from: Socket, to: Socket): Promise<void> {
    /** Pieces on their way, with the time at which each comes out, ms. */
    const way: { piece: Buffer; outMs: number }[] = []
    let held = 0
    let ended = false
    let freeMs = 0
    let wake = () => {}
    const changed = () => wake()
    this.#ways.add(changed)
    from.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        const piece = chunk.subarray(at, at + PIECE_BYTES)
        const { kbps, delayMs = 0, loss = 0 } = this.#weather
        const beginMs = Math.max(performance.now(), freeMs)
        const stallMs = this.#rng.float() < loss ? 300 + 2700 * this.#rng.float() : 0
        freeMs = beginMs + stallMs + (kbps === undefined ? 0 : (8 * piece.length) / kbps)
        way.push({ piece, outMs: freeMs + delayMs })
        held += piece.length
      }
      if (held > BUFFER_BYTES) from.pause()
      changed()
    })
    from.on('close', () => {
      ended = true
      changed()
    })
    to.on('close', changed)
    while (!to.destroyed) {
      const next = way[0]
      if (this.#weather.silent || (next === undefined && !ended)) {
        await new Promise<void>(resolve => {
          wake = resolve
        })
        continue
      }
      if (next === undefined) break
      const waitMs = next.outMs - performance.now()
      if (waitMs > 0) {
        await new Promise(resolve => setTimeout(resolve, waitMs))
        continue
      }
      way.shift()
      held -= next.piece.length
      if (held <= BUFFER_BYTES / 2) from.resume()
      if (!to.write(next.piece)) await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => {})
    }
    this.#ways.delete(changed)
    to.destroy()
    if (!from.destroyed && !this.#weather.silent) from.destroy()
  }
}
