import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { messageOf, readSecretFile, UserError } from '@kestrel/runtime'
import { z } from 'zod'
import { checkDroneName } from './topics.js'

/** The name in the certificate of every ground station: drones trust the authority that they were paired with, wherever it is. */
export const GROUND_NAME = 'kestrel-ground'

const pem = (what: string) =>
  z
    .string()
    .max(16_384)
    .refine(text => text.startsWith(`-----BEGIN ${what}-----`), `expected PEM that begins with BEGIN ${what}`)

const schema = z.strictObject({
  format: z.literal('kestrel-credentials/1'),
  drone: z.string(),
  broker: z.string().regex(/^mqtts?:\/\/[^/\s@]+$/, 'expected a URL such as mqtts://192.168.1.10:8883'),
  user: z.string().min(1).max(64),
  secret: z.string().min(16).max(256),
  /** Of the broker; absent where it is spoken to without TLS, on the same machine, or has a certificate that the system knows. */
  ca: pem('CERTIFICATE').optional(),
  /** The name in its certificate. */
  serverName: z.string().min(1).max(253).optional(),
  groundKey: pem('PUBLIC KEY'),
})

/** What a drone gets when it is paired: who it is, whom it trusts. The file is a secret. */
export type Credentials = z.infer<typeof schema>

/** How a client proves who it is, and whom it takes for the broker. */
export interface BrokerAuth {
  user: string
  secret: string
  /** PEM; the system's authorities without. */
  ca?: string
  serverName?: string
}

/**
 * Reads a drone's credentials.
 *
 * @throws UserError where the file cannot be read, is open to other users, or holds something else
 */
export function readCredentials(file: string): Credentials {
  const what = "The drone's credentials"
  return parseCredentials(readSecretFile(file, what).toString('utf8'), file)
}

/** @param source names the text in errors @throws UserError */
export function parseCredentials(text: string, source: string): Credentials {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new UserError(
      `${source} holds no credentials (${messageOf(cause).replace(/"[^"]*".*/, 'not JSON')}): make them with kestrel-ground pair NAME`,
      { cause },
    )
  }
  const credentials = parseSecret(value, source)
  checkDroneName(credentials.drone)
  try {
    if (groundKeyOf(credentials).asymmetricKeyType !== 'ed25519') throw new Error('it is no Ed25519 key')
    if (credentials.ca !== undefined) new X509Certificate(credentials.ca)
  } catch (cause) {
    throw new UserError(`${source} is damaged (${messageOf(cause)}): pair this drone again`, { cause })
  }
  return credentials
}

/** What the drone takes updates, control and commands from. */
export function groundKeyOf({ groundKey }: Credentials): KeyObject {
  return createPublicKey(groundKey)
}

/** Whether a host name or address is this machine's own. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase()
  return bare === 'localhost' || bare === '::1' || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare)
}

/** As `parseConfig`, whose errors quote what they found: not so of a secret. */
function parseSecret(value: unknown, source: string): Credentials {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const keys = result.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`)
  throw new UserError(
    `${source} holds no credentials of a drone (${keys.join('; ')}): make them with kestrel-ground pair NAME`,
  )
}
