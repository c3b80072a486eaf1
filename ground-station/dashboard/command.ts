import { X509Certificate } from 'node:crypto'
import { hostname } from 'node:os'
import { UserError } from '@kestrel/runtime'
import { Command } from 'commander'
import { openIdentity } from '../security/identity.js'
import { ownAddresses } from '../security/pairing.js'
import { identityFolder } from '../security/security.js'
import { loadGroundConfig } from '../service/config.js'
import { dashboardToken, needsToken } from './access.js'
import { TokenAccess } from './token-access.js'

/** `kestrel-ground dashboard`: prints the address that opens the dashboard. */
export function dashboardCommand(): Command {
  return new Command('dashboard')
    .description('print the address that opens the dashboard, with its token where it needs one')
    .requiredOption('-c, --config <file>', 'the configuration, ground.yaml')
    .action(async ({ config: file }: { config: string }) => {
      const config = loadGroundConfig(file)
      const { enabled, host, port } = config.dashboard
      if (!enabled) throw new UserError('There is no dashboard: "dashboard.enabled" is false')
      if (port === 0)
        throw new UserError('"dashboard.port" is 0, another one at each start: the log says which')
      const everywhere = ['0.0.0.0', '::'].includes(host)
      const name = everywhere ? (ownAddresses()[0] ?? hostname()) : host
      if (!needsToken(config)) return say(`http://${name}:${port}`)
      const identity = await openIdentity(identityFolder(config))
      const own = !everywhere && ['127.0.0.1', 'localhost', '::1'].includes(host)
      const url = `${own ? 'http' : 'https'}://${name.includes(':') ? `[${name}]` : name}:${port}`
      say(TokenAccess.entry(url, dashboardToken(identity)))
      if (own) return
      const { fingerprint256 } = new X509Certificate(identity.authority.certificate)
      say(
        `\nThe browser does not know who vouches for this: give it ${identity.folder}/authority.crt as an authority,`,
      )
      say(`SHA-256 ${fingerprint256}, or go on past its warning in a network that you trust.`)
    })
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
