import { createServer, type Socket } from 'node:net'
import { type Log, messageOf, UserError } from '@kestrel/runtime'
import { Aedes } from 'aedes'

/** A broker in this process. */
export interface Broker {
  host: string
  port: number
  /** For clients on this machine. */
  url: string
  close(): Promise<void>
}

/** More than any fleet of ours; a bound on what a stranger can open. */
const MAX_CONNECTIONS = 128

/** The largest message of link/messages.ts. */
const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024

/**
 * Starts the embedded MQTT 3.1.1 broker, aedes.
 *
 * Of its defaults, `concurrency` 100 (messages in delivery at once) and `queueLimit` 42 (packets that a client may send before
 * its session stands) are ample for a few drones whose clients wait for CONNACK. `drainTimeout` is shortened: a drone whose
 * radio stalls holds up delivery to the others until then. Retained messages and QoS 1 queues live in memory, so after a restart
 * the drones' own status messages bring everything back.
 *
 * @param options.port 0 takes any free port
 * @throws UserError where the address cannot be listened on
 */
export async function startBroker(options: { host: string; port: number; log: Log }): Promise<Broker> {
  const { host, log } = options
  const aedes = await Aedes.createBroker({
    drainTimeout: 15_000,
    authorizePublish(_client, packet, done) {
      if (packet.topic.startsWith('$SYS/')) return done(new Error('$SYS topics belong to the broker'))
      if (packet.payload.length > MAX_PAYLOAD_BYTES) {
        return done(
          new Error(`messages have at most ${MAX_PAYLOAD_BYTES} bytes, this one ${packet.payload.length}`),
        )
      }
      done(null)
    },
  })
  aedes.on('clientError', (client, error) => log.debug(`MQTT client ${client?.id}: ${messageOf(error)}`))
  aedes.on('connectionError', (_client, error) => log.debug(`MQTT connection: ${messageOf(error)}`))
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    aedes.handle(socket)
  })
  server.maxConnections = MAX_CONNECTIONS
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(options.port, host, resolve)
    })
  } catch (error) {
    await new Promise<void>(resolve => aedes.close(resolve))
    throw new UserError(explain(error as NodeJS.ErrnoException, host, options.port), { cause: error })
  }
  const { port } = server.address() as { port: number }
  const own =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  return {
    host,
    port,
    url: `mqtt://${own}:${port}`,
    async close() {
      const closed = new Promise(resolve => server.close(resolve))
      await new Promise<void>(resolve => aedes.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
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
