import { networkInterfaces } from 'node:os'
import { type Credentials, GROUND_NAME } from '@kestrel/link'
import { UserError } from '@kestrel/runtime'
import type { GroundConfig } from '../service/config.js'
import { readCa } from './broker-auth.js'
import type { Identity } from './identity.js'
import type { DroneRegistry } from './registry.js'
import { requiresPairing } from './security.js'

/**
 * Makes the credentials of a drone; those that it had are void then.
 *
 * @param options.host address of this machine for drones
 * @param options.at now, Unix ms
 * @throws UserError where the drone's name is none, or the configuration names no port
 */
export function pairDrone(
  drone: string,
  options: { config: GroundConfig; identity: Identity; registry: DroneRegistry; host: string; at: number },
): Credentials {
  const { config, identity, registry, host, at } = options
  const { listen, broker } = config
  if (broker === undefined && listen.port === 0) {
    throw new UserError(
      '"listen.port" is 0, another one at each start: set it to one that drones can be told',
    )
  }
  const secret = registry.add(drone, at)
  const common = {
    format: 'kestrel-credentials/1' as const,
    drone,
    user: drone,
    secret,
    groundKey: identity.publicKey,
  }
  if (broker !== undefined) {
    const ca = readCa(config.brokerAuth)
    return { ...common, broker, ...(ca !== undefined && { ca }) }
  }
  if (!requiresPairing(config)) return { ...common, broker: `mqtt://127.0.0.1:${listen.port}` }
  const { certificate: ca } = identity.authority
  const bare = host.includes(':') ? `[${host}]` : host
  return { ...common, broker: `mqtts://${bare}:${listen.port}`, ca, serverName: GROUND_NAME }
}

/** The addresses under which other machines may reach this one, the likeliest first. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flat()
    .filter(address => address !== undefined && !address.internal && address.family === 'IPv4')
    .map(address => (address as { address: string }).address)
}
