import { connect, type NatsConnection } from '@nats-io/transport-node'
import { readAuth } from '../security/broker-auth.js'
import type { ClusterConfig } from './config.js'

/** How long a question to the server may take, ms. */
export const ASK_MS = 4000

/** Connects to the NATS servers, and keeps at it for ever. @throws UserError where a file that the configuration names cannot be used */
export async function connectNats(config: ClusterConfig, what: string): Promise<NatsConnection> {
  const auth = readAuth(config.auth)
  return connect({
    servers: config.servers.map(url => url.replace(/^(nats|tls):\/\//, '')),
    name: `kestrel ${config.name} (${what})`,
    ...(auth && { user: auth.user, pass: auth.secret }),
    ...(config.servers.some(url => url.startsWith('tls:')) && { tls: { ...(auth?.ca && { ca: auth.ca }) } }),
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 200,
    // Half-open connections are found within three of these; leases do not wait for that.
    pingInterval: 5000,
    ignoreAuthErrorAbort: true,
  })
}
