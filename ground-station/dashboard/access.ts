import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isLoopback } from '@kestrel/link'
import { type Incidents, readSecretFile, UserError, writeSecretFile } from '@kestrel/runtime'
import type { Certificate } from '../security/certificates.js'
import { type Identity, serverCertificate } from '../security/identity.js'
import { ownAddresses } from '../security/pairing.js'
import type { GroundConfig } from '../service/config.js'
import { TokenAccess } from './token-access.js'

/** What keeps strangers from the dashboard. */
export interface DashboardAccess {
  token: TokenAccess
  /** Absent where only this machine reaches it. */
  certificate?: Certificate
}

type Settings = Pick<GroundConfig, 'dashboard'>

/** Undefined where the dashboard is open, to this machine only. @throws UserError where the token cannot be read or kept */
export async function openAccess(
  { dashboard }: Settings,
  options: { identity: Identity; incidents: Incidents },
): Promise<DashboardAccess | undefined> {
  const { identity, incidents } = options
  if (!needsToken({ dashboard })) return undefined
  const own = isLoopback(dashboard.host)
  return {
    token: new TokenAccess({ token: dashboardToken(identity), secure: !own, incidents }),
    ...(!own && {
      certificate: await serverCertificate(identity, [dashboard.host, ...ownAddresses()].filter(isName)),
    }),
  }
}

/** Whether the dashboard asks for its token. */
export function needsToken({ dashboard }: Settings): boolean {
  return dashboard.access === 'token' || !isLoopback(dashboard.host)
}

/** The dashboard's token; made where there is none. To void it, remove the file and restart. @throws UserError */
export function dashboardToken({ folder }: Identity): string {
  const file = join(folder, 'dashboard.token')
  if (!existsSync(file)) writeSecretFile(file, randomBytes(24).toString('base64url'))
  const token = readSecretFile(file, "The dashboard's token").toString('utf8').trim()
  if (!/^[\w-]{20,100}$/.test(token)) {
    throw new UserError(`${file} holds no token: remove it, it is made anew at the next start`)
  }
  return token
}

function isName(host: string): boolean {
  return host !== '0.0.0.0' && host !== '::'
}
