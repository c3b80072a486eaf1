import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { isLoopback } from '@kestrel/link'
import { type Incidents, messageOf, UserError } from '@kestrel/runtime'
import type { Certificate } from '../security/certificates.js'

/** How long a connection may take to say what it is, ms. */
const HELLO_MS = 10_000

/** First byte of a TLS handshake (RFC 8446, 5.1), and of a client that speaks MQTT without. */
const TLS_HANDSHAKE = 0x16

/** CONNACK: not authorised [MQTT-3.2.2-6]. Says to who comes without TLS that it has to be paired. */
const NOT_AUTHORISED = Uint8Array.of(0x20, 2, 0, 5)

export interface ListenerOptions {
  host: string
  port: number
  /** TLS for everybody; without, none. */
  tls?: Certificate
  /** Most connections at a time, altogether and from one address that is not this machine's. */
  connections: number
  connectionsPerAddress: number
  incidents: Incidents
  onClient: (socket: Socket, address: string) => void
}

/** Takes connections, as many as it may, and hands them on once they are encrypted where they have to be. */
export class Listener {
  readonly #options: ListenerOptions
  readonly #sockets = new Map<Socket, string>()
  #server: Server | undefined

  constructor(options: ListenerOptions) {
    this.#options = options
  }

  get port(): number {
    return (this.#server?.address() as { port: number }).port
  }

  /** @throws UserError where the address cannot be listened on */
  async start(): Promise<void> {
    const { host, port, tls, onClient, incidents } = this.#options
    const secure = tls && createTlsServer({ key: tls.key, cert: tls.certificate, handshakeTimeout: HELLO_MS })
    secure?.on('secureConnection', socket => {
      socket.on('error', () => socket.destroy())
      onClient(socket, socket.remoteAddress ?? '')
    })
    secure?.on('tlsClientError', (error, socket) => {
      incidents.add(
        'tls',
        `A connection from ${socket.remoteAddress ?? 'somewhere'} came to nothing: ${messageOf(error)}`,
      )
    })
    const server = createServer(socket => {
      const address = socket.remoteAddress ?? ''
      socket.on('error', () => socket.destroy())
      if (!this.#admit(socket, address)) return
      socket.setNoDelay(true)
      if (secure === undefined) return onClient(socket, address)
      this.#askForTls(socket, address, () => secure.emit('connection', socket))
    })
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', error => reject(new UserError(explain(error, host, port), { cause: error })))
      server.listen(port, host, resolve)
    })
  }

  /** Takes no more connections, does something, and ends those that are left. */
  async stop(farewell: () => Promise<void> = async () => {}): Promise<void> {
    const server = this.#server
    const closed = new Promise<unknown>(resolve =>
      server === undefined ? resolve(0) : server.close(resolve),
    )
    await farewell()
    for (const socket of this.#sockets.keys()) socket.destroy()
    await closed
  }

  #admit(socket: Socket, address: string): boolean {
    const { connections, connectionsPerAddress, incidents } = this.#options
    const network = networkOf(address)
    const same = [...this.#sockets.values()].filter(other => other === network).length
    const full = this.#sockets.size >= connections
    if (full || (same >= connectionsPerAddress && !isLoopback(address))) {
      const most = full ? `${connections} are` : `${connectionsPerAddress} from one address are`
      incidents.add('connections', `A connection from ${address} was closed: ${most} the most`)
      socket.destroy()
      return false
    }
    this.#sockets.set(socket, network)
    socket.on('close', () => this.#sockets.delete(socket))
    return true
  }

  /** Drones that are not paired, or were set up before that was needed, speak MQTT at once: they are told why it ends here. */
  #askForTls(socket: Socket, address: string, secured: () => void): void {
    socket.setTimeout(HELLO_MS, () => socket.destroy())
    socket.once('data', chunk => {
      socket.setTimeout(0)
      socket.pause()
      if (chunk[0] === TLS_HANDSHAKE) {
        socket.unshift(chunk)
        secured()
        return
      }
      this.#options.incidents.add(
        'log-in',
        `Somebody at ${address} connected without TLS, as a drone that is not paired: pair it (kestrel-ground pair NAME here, kestrel-agent pair there)`,
      )
      socket.end(NOT_AUTHORISED)
      socket.resume()
    })
  }
}

/** The address, or the network of 64 bits that one IPv6 host may have for itself. */
function networkOf(address: string): string {
  return address.includes(':') && !address.includes('.') ? address.split(':').slice(0, 4).join(':') : address
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return (
        `Port ${port} on ${host} is in use, perhaps by another broker: stop that, choose another "listen.port", ` +
        `or use it with "broker: mqtt://${host}:${port}"`
      )
    case 'EACCES':
      return `Listening on port ${port} is not allowed: choose a "listen.port" above 1023`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is no address of this machine: set "listen.host" to one, to 127.0.0.1 or to 0.0.0.0`
    default:
      return `The broker cannot listen on ${host}:${port}: ${error.message}`
  }
}
