import { createServer, type Server, type Socket } from 'node:net'
import { UserError } from '@kestrel/runtime'
import type { Address, Exchange, Line, Transport } from './transport.js'

/** Frames are dropped for a client that leaves this much unread, bytes. */
const MOST_UNREAD = 64 * 1024
const MOST_CLIENTS = 32

/** A server that many ground stations can connect to, like SITL's on port 5760. */
export class TcpServer implements Transport {
  readonly #address: Address
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  constructor(address: Address) {
    this.#address = address
  }

  /** The port that is listened on; useful where 0, any free one, was asked for. */
  get port(): number {
    const address = this.#server?.address()
    return typeof address === 'object' && address !== null ? address.port : this.#address.port
  }

  async start(exchange: Exchange): Promise<void> {
    const server = createServer({ noDelay: true }, socket => this.#accept(socket, exchange))
    server.maxConnections = MOST_CLIENTS
    this.#server = server
    const { host, port } = this.#address
    await new Promise<void>((resolve, reject) => {
      server.once('error', cause =>
        reject(new UserError(`Cannot listen on TCP ${host}:${port}: ${cause.message}`, { cause })),
      )
      server.listen(port, host, resolve)
    })
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    const server = this.#server
    if (server?.listening) await new Promise(resolve => server.close(resolve))
  }

  #accept(socket: Socket, exchange: Exchange) {
    const name = `tcp ${socket.remoteAddress}:${socket.remotePort}`
    const line: Line = {
      write(frame) {
        if (socket.writable && socket.writableLength < MOST_UNREAD) socket.write(frame)
      },
    }
    this.#sockets.add(socket)
    socket.on('data', bytes => exchange.received(line, bytes))
    // 'close' follows.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#sockets.delete(socket)
      exchange.closed(line, name)
    })
    exchange.opened(line, name)
  }
}
