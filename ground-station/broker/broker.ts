import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { type BrokerAuth, isLoopback, mostBytes, parseTopic } from '@kestrel/link'
import { type Clock, Incidents, type Log, messageOf, RealClock } from '@kestrel/runtime'
import { Aedes, type AuthenticateError, type Client } from 'aedes'
import type { Certificate } from '../security/certificates.js'
import type { DroneRegistry } from '../security/registry.js'
import { Access, type Refusal, type Who } from './access.js'
import { Listener } from './listener.js'
import { LogInDelay } from './log-in-delay.js'
import { PacketGuard, type PacketLimits } from './packet-guard.js'
import { TokenBucket } from './token-bucket.js'

/** A broker in this process. */
export interface Broker {
  host: string
  port: number
  /** For clients on this machine that show no credentials, or their own. */
  url: string
  /** How the ground station itself connects. */
  ground: { url: string; clientId: string; auth?: BrokerAuth }
  /** What was tried and not allowed. */
  incidents: Incidents
  close(): Promise<void>
}

/** More than any fleet of ours; a bound on what a stranger can open. */
const MAX_CONNECTIONS = 128
const MAX_CONNECTIONS_PER_ADDRESS = 16

/** The largest message of link/messages.ts, with its topic. */
const MAX_PACKET_BYTES = 16 * 1024 * 1024 + 1024

/** Before a client has logged in: CONNECT with a last will. */
const strangerLimits: PacketLimits = { packetBytes: 128 * 1024, packets: 50, packetsPerS: 1 }
const droneLimits: PacketLimits = { packetBytes: MAX_PACKET_BYTES, packets: 5000, packetsPerS: 200 }
const trustedLimits: PacketLimits = {
  packetBytes: MAX_PACKET_BYTES,
  packets: Number.POSITIVE_INFINITY,
  packetsPerS: Number.POSITIVE_INFINITY,
}

/** What one drone may publish: a minute's telemetry and a full outbox at once, and then more than any radio carries. */
const MESSAGES = { size: 500, perS: 20 }
const BYTES = { size: 64e6, perS: 4e6 }

/** A drone that would have to wait longer than this is cut off, ms. */
const MAX_WAIT_MS = 10_000

/** How often it is looked whether a drone was revoked, ms. */
const SWEEP_MS = 2000

/** How long a connection may take to carry what is in its buffer: a part of an update takes 16 s at 32 kbit/s. */
const DRAIN_MS = 90_000

/** Not an incident: what happens to connections. */
const ordinary = /keep alive timeout|drain timeout|connection closed|did not arrive in time|premature close/i

/** As much of aedes' store of sessions as is changed here. */
interface Persistence {
  addSubscriptions(client: Client, subscriptions: { topic: string }[]): Promise<unknown>
}

/** And as much of its clients. */
interface Timed {
  _keepaliveTimer?: NodeJS.Timeout | null
}

class NotAllowed extends Error {}

/**
 * Starts the embedded MQTT 3.1.1 broker, aedes.
 *
 * With a certificate everybody has to speak TLS and to be a drone that was paired, which may do what its own topics are for (access.ts).
 * Without, whoever shows no credentials may do everything, so it listens on this machine's own addresses only.
 *
 * Of its defaults, `concurrency` 100 (messages in delivery at once) and `queueLimit` 42 (packets that a client may send before
 * its session stands) are ample for a few drones whose clients wait for CONNACK. A drone whose radio stalls takes up some of the former until
 * `drainTimeout`. A client's keepalive counts whole packets; here any byte of it shows that it is there, since a large packet takes long on a
 * slow link. Retained messages and QoS 1 queues live in memory, so after a restart
 * the drones' own status messages bring everything back.
 *
 * @param options.port 0 takes any free port
 * @throws UserError where the address cannot be listened on
 */
export async function startBroker(options: {
  host: string
  port: number
  /** The drones that are paired; none without. */
  registry?: DroneRegistry
  certificate?: Certificate
  /** Of its own unless given. */
  incidents?: Incidents
  log: Log
  clock?: Clock
}): Promise<Broker> {
  const { host, registry, certificate, log, clock = new RealClock() } = options
  const open = certificate === undefined
  if (open && !isLoopback(host)) {
    throw new RangeError(`Only this machine may reach a broker without a certificate, not ${host}`)
  }
  const { incidents = new Incidents({ log, clock }) } = options
  const access = new Access({ registry, open })
  const delay = new LogInDelay(clock)
  // The last will of a client is judged after its connection is gone.
  const identities = new WeakMap<Client, Who>()
  const connected = new Set<Client>()
  const clients = new WeakMap<object, Timed>()
  const guards = new WeakMap<object, { guard: PacketGuard; address: string }>()
  const rates = new Map<string, { messages: TokenBucket; bytes: TokenBucket }>()
  const stopping = new AbortController()

  const aedes = await Aedes.createBroker({
    drainTimeout: DRAIN_MS,
    connectTimeout: 10_000,
    authenticate(client, user, secret, done) {
      const connection = guards.get(client.conn)
      const address = connection?.address ?? ''
      const who = identify(client, user, secret)
      if (!('returnCode' in who)) {
        identities.set(client, who)
        clients.set(client.conn, client as unknown as Timed)
        connected.add(client)
        client.conn.once('close', () => connected.delete(client))
        if (connection) connection.guard.limits = who.kind === 'drone' ? droneLimits : trustedLimits
        delay.forgive(address)
        return done(null, true)
      }
      incidents.add(who.kind, `A client at ${address} ${who.why}`)
      const error = Object.assign(new NotAllowed(who.why), { returnCode: who.returnCode })
      void delay.wait(address, stopping.signal).then(() => done(error as unknown as AuthenticateError, null))
    },
    authorizePublish(client, packet, done) {
      const who = client === null ? undefined : identities.get(client)
      const name = packet.topic
      if (!access.mayPublish(who, name, packet.retain)) {
        return refuse('publish', `${nameOf(who)} must not publish to ${name}`, done)
      }
      const most = mostBytes(parseTopic(name)?.what)
      const { length } = packet.payload
      if (length > most) {
        return refuse(
          'too-big',
          `${nameOf(who)} sent ${length} bytes to ${name}, at most ${most} are taken`,
          done,
        )
      }
      const waitMs = who?.kind === 'drone' ? wait(who.drone, length) : 0
      if (waitMs === 0) return done(null)
      if (waitMs > MAX_WAIT_MS) return refuse('rate', `${nameOf(who)} sends more than it may`, done)
      incidents.add('rate', `${nameOf(who)} sends more than it may: it has to wait`)
      void clock.sleep(waitMs, stopping.signal).then(() => done(null))
    },
    authorizeSubscribe(client, subscription, done) {
      const who = identities.get(client)
      const { topic } = subscription
      if (access.maySubscribe(who, topic)) return done(null, subscription)
      incidents.add('subscribe', `${nameOf(who)} must not listen to ${topic}`)
      done(null, null)
    },
    authorizeForward(client, packet) {
      return access.mayReceive(identities.get(client), packet.topic) ? packet : null
    },
  })
  // aedes keeps what one SUBSCRIBE asks for as a whole, refused filters with it: messages would pile up for them.
  const { persistence } = aedes as unknown as { persistence: Persistence }
  const addSubscriptions = persistence.addSubscriptions.bind(persistence)
  persistence.addSubscriptions = (client, subscriptions) =>
    addSubscriptions(
      client,
      subscriptions.filter(({ topic }) => access.maySubscribe(identities.get(client), topic)),
    )
  const emitter: EventEmitter = aedes
  emitter.on('error', error => log.error(`The broker: ${messageOf(error)}`))
  const failed = (client: Client | undefined, error: Error & { code?: string }) => {
    const connection = client && guards.get(client.conn)
    log.debug(`MQTT client ${client?.id}: ${messageOf(error)}`)
    if (error instanceof NotAllowed || error.code !== undefined || ordinary.test(error.message)) return
    incidents.add('protocol', `A client at ${connection?.address} broke the protocol: ${messageOf(error)}`)
  }
  aedes.on('clientError', failed)
  aedes.on('connectionError', failed)

  const onClient = (socket: Socket, address: string) => {
    const guard = new PacketGuard(open ? trustedLimits : strangerLimits, {
      onRefused: (kind, detail) => incidents.add(kind, `A client at ${address} was cut off: ${detail}`),
      nowMs: () => clock.nowMs(),
    })
    guard.watch(socket, () => clients.get(socket)?._keepaliveTimer?.refresh())
    guards.set(socket, { guard, address })
    aedes.handle(socket)
  }
  const common = {
    connections: MAX_CONNECTIONS,
    connectionsPerAddress: MAX_CONNECTIONS_PER_ADDRESS,
    incidents,
    onClient,
  }
  const listener = new Listener({ host, port: options.port, tls: certificate, ...common })
  // The ground's own way in needs no TLS, and not the address that drones use.
  const inner = open ? undefined : new Listener({ host: '127.0.0.1', port: 0, ...common })
  try {
    await listener.start()
    await inner?.start()
  } catch (error) {
    await listener.stop()
    await new Promise<void>(resolve => aedes.close(resolve))
    throw error
  }
  const sweeping = sweep()
  const { port } = listener
  const url = `${open ? 'mqtt' : 'mqtts'}://${reach(host)}:${port}`
  const { clientId, auth } = access.ground
  return {
    host,
    port,
    url,
    ground:
      inner === undefined ? { url, clientId } : { url: `mqtt://127.0.0.1:${inner.port}`, clientId, auth },
    incidents,
    async close() {
      stopping.abort()
      await sweeping
      const closeAedes = () => new Promise<void>(resolve => aedes.close(resolve))
      await listener.stop(() => (inner === undefined ? closeAedes() : inner.stop(closeAedes)))
    },
  }

  function identify(client: Client, user: string | undefined, secret: Uint8Array | undefined): Who | Refusal {
    try {
      return access.identify(client.id, user, secret)
    } catch (error) {
      log.error(messageOf(error))
      return { kind: 'log-in', returnCode: 5, why: 'cannot be known: the list of drones cannot be read' }
    }
  }

  function refuse(kind: string, why: string, done: (error: Error) => void): void {
    incidents.add(kind, why)
    done(new NotAllowed(why))
  }

  /** By drone, not by connection: another connection is no way to send more. */
  function wait(drone: string, bytes: number): number {
    const rate = rates.get(drone) ?? { messages: new TokenBucket(MESSAGES), bytes: new TokenBucket(BYTES) }
    rates.set(drone, rate)
    const nowMs = clock.nowMs()
    return Math.max(rate.messages.take(1, nowMs), rate.bytes.take(bytes, nowMs))
  }

  async function sweep(): Promise<void> {
    while (!stopping.signal.aborted) {
      for (const client of connected) {
        const who = identities.get(client)
        if (who === undefined || isCurrent(who)) continue
        log.info(`${nameOf(who)} is cut off: its credentials are not valid any more`)
        client.close()
        connected.delete(client)
      }
      await clock.sleep(SWEEP_MS, stopping.signal)
    }
  }

  function isCurrent(who: Who): boolean {
    try {
      return access.isCurrent(who)
    } catch {
      return true // Damaged while it was written by hand: said where somebody logs in.
    }
  }
}

/** How this machine itself reaches a host that is listened on. */
function reach(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

function nameOf(who: Who | undefined): string {
  return who === undefined
    ? 'Somebody'
    : who.kind === 'drone'
      ? `The drone ${who.drone}`
      : `The ${who.kind} client`
}
