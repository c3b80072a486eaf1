import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Clock, UserError } from '@kestrel/runtime'
import type { Address, Exchange, Line, Transport } from './transport.js'

/** Frames are dropped while the server leaves this much unread, bytes. */
const MOST_UNREAD = 64 * 1024
const CONNECT_MS = 5000

/** A server that has been silent for this long is connected to anew, ms: a cable that was pulled tells nothing. */
const SILENT_MS = 30_000

/** Connects to a server, such as SITL or mavlink-router on port 5760; lost when that ends or falls silent. */
export class TcpClient implements Transport {
  readonly lost: Promise<void>
  readonly #address: Address
  readonly #clock: Clock
  readonly #stopped = new AbortController()
  #socket: Socket | undefined
  #heardMs = 0
  #lose!: () => void

  constructor(address: Address, clock: Clock) {
    this.#address = address
    this.#clock = clock
    this.lost = new Promise(resolve => {
      this.#lose = resolve
    })
  }

  async start(exchange: Exchange): Promise<void> {
    const { host, port } = this.#address
    const socket = connect({ host, port, noDelay: true })
    this.#socket = socket
    const late = setTimeout(
      () => socket.destroy(new Error(`no answer in ${CONNECT_MS / 1000} s`)),
      CONNECT_MS,
    )
    try {
      await once(socket, 'connect')
    } catch (cause) {
      throw new UserError(`Cannot connect to TCP ${host}:${port}: ${(cause as Error).message}`, { cause })
    } finally {
      clearTimeout(late)
    }
    const line: Line = {
      write(frame) {
        if (socket.writable && socket.writableLength < MOST_UNREAD) socket.write(frame)
      },
    }
    const name = `tcp ${host}:${port}`
    this.#heardMs = this.#clock.nowMs()
    socket.on('data', bytes => {
      this.#heardMs = this.#clock.nowMs()
      exchange.received(line, bytes)
    })
    // 'close' follows.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#stopped.abort()
      exchange.closed(line, name)
      this.#lose()
    })
    exchange.opened(line, name)
    void this.#watch(socket)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    // Also ends an attempt that is under way.
    this.#socket?.destroy(new Error('stopped'))
  }

  async #watch(socket: Socket): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      const leftMs = this.#heardMs + SILENT_MS - this.#clock.nowMs()
      if (leftMs <= 0) socket.destroy()
      await this.#clock.sleep(Math.max(leftMs, 1000), signal)
    }
  }
}
