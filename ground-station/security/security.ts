import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BrokerAuth, isLoopback } from '@kestrel/link'
import { type Clock, messageOf, readSecretFile, UserError } from '@kestrel/runtime'
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
  const signer = new Signer(identity, { clock })
  signer.start()
  const certificate = requiresPairing(config) ? await serverCertificate(identity) : undefined
  return { identity, registry, signer, certificate }
}

export function identityFolder({ stateDir }: Pick<GroundConfig, 'stateDir'>): string {
  return join(stateDir, 'identity')
}

/** Whether the embedded broker takes paired drones only. */
export function requiresPairing({ listen, broker }: Pick<GroundConfig, 'listen' | 'broker'>): boolean {
  return broker === undefined && (listen.pairing === 'required' || !isLoopback(listen.host))
}

/** How to log in at an external broker. @throws UserError where a file cannot be read */
export function readBrokerAuth({ brokerAuth }: Pick<GroundConfig, 'brokerAuth'>): BrokerAuth | undefined {
  if (brokerAuth === undefined) return undefined
  const { user, passwordFile } = brokerAuth
  const secret = readSecretFile(passwordFile, "The broker's password").toString('utf8').trim()
  if (secret === '') throw new UserError(`The broker's password is missing: ${passwordFile} is empty`)
  const ca = readBrokerCa({ brokerAuth })
  return { user, secret, ca }
}

/** The authority behind an external broker's certificate, PEM; undefined where the system's are meant. @throws UserError */
export function readBrokerCa({ brokerAuth }: Pick<GroundConfig, 'brokerAuth'>): string | undefined {
  if (brokerAuth?.caFile === undefined) return undefined
  try {
    return readFileSync(brokerAuth.caFile, 'utf8')
  } catch (cause) {
    throw new UserError(`The authority of the broker cannot be read: ${messageOf(cause)}`, { cause })
  }
}
