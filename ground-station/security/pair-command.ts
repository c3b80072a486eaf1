import { isIP } from 'node:net'
import { checkDroneName } from '@kestrel/link'
import { RealClock, UserError, writeSecretFile } from '@kestrel/runtime'
import { Command } from 'commander'
import { renderUnicodeCompact } from 'uqr'
import { type GroundConfig, loadGroundConfig } from '../service/config.js'
import { openIdentity, serverCertificate } from './identity.js'
import { PairServer } from './pair-server.js'
import { ownAddresses, pairDrone } from './pairing.js'
import { DroneRegistry } from './registry.js'
import { identityFolder, requiresPairing } from './security.js'

interface PairOptions {
  config: string
  out?: string
  serve?: boolean
  port: number
  minutes: number
  host?: string
  list?: boolean
  revoke?: boolean
}

/** `kestrel-ground pair`: makes, lists and revokes the credentials of drones. */
export function pairCommand(): Command {
  return new Command('pair')
    .description('make the credentials with which a drone connects; list or revoke them')
    .argument('[name]', 'the drone, as in its agent.yaml')
    .requiredOption('-c, --config <file>', 'the configuration, ground.yaml')
    .option('--out <file>', 'where to write the credentials (default: NAME.credentials.json)')
    .option('--serve', 'hand them out once over the network instead, for some minutes')
    .option('--port <port>', 'for --serve: the TCP port, 0 takes any free one', Number, 0)
    .option('--minutes <n>', 'for --serve: how long', Number, 10)
    .option('--host <address>', 'address of this machine for drones (default: its first in the network)')
    .option('--list', 'list the drones that are paired')
    .option('--revoke', 'take the credentials of NAME away')
    .addHelpText(
      'after',
      `
The ground station may run meanwhile; a drone that is revoked is cut off within seconds. Pairing a drone anew voids what it had.
On the drone: kestrel-agent pair FILE, or the address that --serve prints. docs/pairing.md.`,
    )
    .action(pair)
}

async function pair(name: string | undefined, options: PairOptions): Promise<void> {
  const config = loadGroundConfig(options.config)
  const identity = await openIdentity(identityFolder(config))
  const registry = new DroneRegistry(identity)
  if (options.list === true) return list(registry)
  if (name === undefined) throw new UserError('Which drone? kestrel-ground pair NAME, or --list')
  checkDroneName(name)
  if (options.revoke === true) {
    if (!registry.remove(name)) throw new UserError(`There is no paired drone "${name}": --list shows them`)
    say(`${name} is not paired any more.`)
    return
  }
  const host = addressFor(config, options.host)
  const issue = () => {
    const clock = new RealClock()
    const credentials = pairDrone(name, { config, identity, registry, host, at: clock.nowMs() })
    return `${JSON.stringify(credentials, null, 2)}\n`
  }
  if (config.broker === undefined && !requiresPairing(config)) {
    say(
      `Only this machine reaches the broker (listen.host: ${config.listen.host}): set it to 0.0.0.0 to let drones in.`,
    )
  }
  if (registry.keyOf(name) !== undefined)
    say(`${name} was paired before: the credentials that it has are void as soon as it gets these.`)
  if (options.serve === true) {
    const certificate = await serverCertificate(identity, [host])
    return serve(name, new PairServer({ certificate, issue }), { ...options, host })
  }
  const file = options.out ?? `${name}.credentials.json`
  writeSecretFile(file, issue())
  say(`The credentials of ${name} are in ${file}. They are a secret: copy the file to the drone, run there`)
  say(`  kestrel-agent pair ${file}`)
  say('and remove it from both places: the drone keeps its own copy.')
}

async function serve(
  name: string,
  server: PairServer,
  options: { port: number; minutes: number; host: string },
): Promise<void> {
  const { port, minutes, host } = options
  if (!(minutes > 0 && minutes <= 60)) throw new UserError(`--minutes is ${minutes}: expected up to 60`)
  await server.start(port)
  const url = server.url(host)
  say(`Run this on ${name} within ${minutes} minutes; it works once:\n`)
  say(`  kestrel-agent pair '${url}'\n`)
  say(renderUnicodeCompact(url))
  const over = new AbortController()
  const late = new RealClock().sleep(minutes * 60_000, over.signal).then(() => 'late' as const)
  const outcome = await Promise.race([server.done, late])
  over.abort()
  await server.stop()
  if (outcome === 'fetched') return say(`${name} has its credentials.`)
  throw new UserError(
    outcome === 'late'
      ? `Nobody fetched the credentials of ${name} in time: nothing has changed`
      : 'Too many wrong requests came: nothing was handed out. Try again on a quieter network, or copy a file (without --serve)',
  )
}

function list(registry: DroneRegistry): void {
  const drones = registry.list()
  if (drones.length === 0) say('No drone is paired.')
  for (const { drone, pairedAt } of drones) say(`${drone.padEnd(32)}  paired ${pairedAt}`)
}

/** The address that goes into the credentials. */
function addressFor({ broker, listen }: GroundConfig, given: string | undefined): string {
  if (given !== undefined) {
    if (isIP(given) === 0 && !/^[a-z0-9.-]{1,253}$/i.test(given)) {
      throw new UserError(
        `--host is ${JSON.stringify(given)}: expected a host name or an address of this machine`,
      )
    }
    return given
  }
  if (!['0.0.0.0', '::'].includes(listen.host)) return listen.host
  const [first] = ownAddresses()
  if (first === undefined && broker === undefined) {
    throw new UserError('This machine has no address in a network: name one with --host')
  }
  return first ?? '127.0.0.1'
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
