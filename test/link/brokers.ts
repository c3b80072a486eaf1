import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type Connection, connectMqtt, memoryBroker, type Will } from '@kestrel/link'
import { silentLog } from '@kestrel/runtime'
import { Aedes } from 'aedes'

/** A broker under test, and how to break the link to it. */
export interface Bench {
  connect(name: string, will?: Will): Connection
  /** Cuts one client's link as a dead radio would. */
  cut(name: string): void
  /** Lets it back (real clients come back by themselves). */
  heal(name: string): void
  stop(): Promise<void>
}

/** The real broker on a loopback port. */
export class RealBroker {
  #aedes!: Aedes
  #server!: Server
  /** Every connection, and the client's name once it has said it. */
  readonly #sockets = new Map<Socket, string>()
  readonly #banned = new Set<string>()
  port = 0

  async start(port = 0): Promise<void> {
    this.#aedes = await Aedes.createBroker({
      preConnect: (client, packet, done) => {
        const socket = client.conn as Socket
        this.#sockets.set(socket, packet.clientId)
        done(null, !this.#banned.has(packet.clientId))
      },
    })
    this.#server = createServer(socket => {
      this.#sockets.set(socket, '')
      this.#aedes.handle(socket)
    })
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  cut(name: string): void {
    this.#banned.add(name)
    for (const [socket, client] of this.#sockets) if (client === name) socket.destroy()
  }

  heal(name: string): void {
    this.#banned.delete(name)
  }

  async stop(): Promise<void> {
    // Nobody may come in while it goes down.
    const closed = new Promise(resolve => this.#server.close(resolve))
    for (const socket of this.#sockets.keys()) socket.destroy()
    this.#sockets.clear()
    await new Promise<void>(resolve => this.#aedes.close(() => resolve()))
    await closed
  }
}

export async function realBench(): Promise<Bench> {
  const broker = new RealBroker()
  await broker.start()
  const open: Connection[] = []
  return {
    connect(name, will) {
      const connection = connectMqtt({
        url: `mqtt://127.0.0.1:${broker.port}`,
        clientId: name,
        will,
        log: silentLog,
        retryMs: { min: 20, max: 100 },
      })
      open.push(connection)
      return connection
    },
    cut: name => broker.cut(name),
    heal: name => broker.heal(name),
    async stop() {
      await Promise.all(open.map(connection => connection.close()))
      await broker.stop()
    },
  }
}

export async function memoryBench(): Promise<Bench> {
  const broker = memoryBroker()
  const open = new Map<string, ReturnType<typeof broker.connect>>()
  return {
    connect(name, will) {
      const connection = broker.connect({ will })
      open.set(name, connection)
      return connection
    },
    cut: name => open.get(name)?.cut(),
    heal: name => open.get(name)?.restore(),
    async stop() {
      await Promise.all([...open.values()].map(connection => connection.close()))
    },
  }
}
