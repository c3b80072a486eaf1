import { readFileSync } from 'node:fs'
import type { BrokerAuth } from '@kestrel/link'
import { messageOf, readSecretFile, UserError } from '@kestrel/runtime'
import { z } from 'zod'

/** How to log in at a server of somebody else's, an MQTT broker or NATS. */
export const brokerAuthSchema = z.strictObject({
  user: z.string().min(1).describe('user name there'),
  passwordFile: z.string().min(1).describe('file with the password, mode 0600'),
  caFile: z
    .string()
    .min(1)
    .optional()
    .describe("PEM of the authority behind its certificate; the system's without"),
})

export type BrokerAuthConfig = z.infer<typeof brokerAuthSchema>

/** @throws UserError where a file cannot be read, or the password could be read by others */
export function readAuth(auth: BrokerAuthConfig | undefined): BrokerAuth | undefined {
  if (auth === undefined) return undefined
  const { user, passwordFile } = auth
  const secret = readSecretFile(passwordFile, "The broker's password").toString('utf8').trim()
  if (secret === '') throw new UserError(`The broker's password is missing: ${passwordFile} is empty`)
  return { user, secret, ca: readCa(auth) }
}

/** The authority behind the server's certificate, PEM; undefined where the system's are meant. @throws UserError */
export function readCa(auth: BrokerAuthConfig | undefined): string | undefined {
  if (auth?.caFile === undefined) return undefined
  try {
    return readFileSync(auth.caFile, 'utf8')
  } catch (cause) {
    throw new UserError(`The authority of the broker cannot be read: ${messageOf(cause)}`, { cause })
  }
}
