import { join } from 'node:path'
import { isLoopback } from '@kestrel/link'
import type { Clock } from '@kestrel/runtime'
import type { GroundConfig } from '../service/config.js'
import type { Certificate } from './certificates.js'
import { type Identity, openIdentity, serverCertificate } from './identity.js'
import { DroneRegistry } from './registry.js'
import { Signer } from './signer.js'

/** What makes this ground station trustworthy to drones, and drones to it. */
export interface Security {
  identity: Identity
  registry: DroneRegistry
  signer: Signer
  /** Of the embedded broker, where drones have to be paired. */
  certificate: Certificate | undefined
}

/** @throws UserError where keys or lists are damaged, or open to other users */
export async function openSecurity(config: GroundConfig, clock: Clock): Promise<Security> {
  const identity = await openIdentity(identityFolder(config))
  const registry = new DroneRegistry(identity)
  registry.list()
  const signer = new Signer(identity, { clock, trainer: config.cluster?.name })
  signer.start()
  const certificate = requiresPairing(config) ? await serverCertificate(identity) : undefined
  return { identity, registry, signer, certificate }
}

/** Of its keys and the list of paired drones. */
export function identityFolder({ identity, stateDir }: Pick<GroundConfig, 'identity' | 'stateDir'>): string {
  return identity ?? join(stateDir, 'identity')
}

/** Whether the embedded broker takes paired drones only. */
export function requiresPairing({ listen, broker }: Pick<GroundConfig, 'listen' | 'broker'>): boolean {
  return broker === undefined && (listen.pairing === 'required' || !isLoopback(listen.host))
}
