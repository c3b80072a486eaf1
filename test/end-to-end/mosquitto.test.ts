import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, issueCertificate } from '@kestrel/ground-station'
import { type Credentials, connectMqtt, topic } from '@kestrel/link'
import { silentLog } from '@kestrel/runtime'
import t from 'tap'
import { Daemon } from '../support/daemon.js'
import { findProgram } from '../support/debian-package.js'
import { startPairedFlight } from '../support/paired-flight.js'
import { freePort, waitFor } from '../support/processes.js'

t.setTimeout(600_000)

const mosquitto = findProgram('mosquitto', '/usr/sbin/mosquitto')
const passwd = findProgram('mosquitto', '/usr/bin/mosquitto_passwd')
const GROUND = { user: 'kestrel-ground', secret: 'of the test' }

/** The two files that docs/pairing.md tells people to write: they are what is tested. */
function documented(): { configuration: string; acl: string } {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/pairing.md'), 'utf8')
  const block = (file: string) =>
    new RegExp(`\`\`\`\n(# [^\n]*${file}[^]*?)\`\`\``).exec(page)?.[1] ??
    t.bailout(`docs/pairing.md has no ${file}`)
  return { configuration: String(block('kestrel.conf')), acl: String(block('kestrel.acl')) }
}

/** @returns it, and what lets drones in beside the ground station */
function prepare(dir: string, port: number): { broker: Daemon; admit: (all: Credentials[]) => void } {
  if (typeof mosquitto === 'string' || typeof passwd === 'string') throw new Error('asked for before')
  const { configuration, acl } = documented()
  writeFileSync(join(dir, 'kestrel.acl'), acl, { mode: 0o600 })
  const file = join(dir, 'kestrel.conf')
  const here = configuration.replaceAll('/etc/mosquitto/', `${dir}/`).replace('8883', `${port} 127.0.0.1`)
  // As root it would become the user mosquitto, who may not be here.
  writeFileSync(file, process.getuid?.() === 0 ? `${here}user root\n` : here)
  return {
    broker: new Daemon(mosquitto, ['-c', file, '-v'], /mosquitto version \S+ running/),
    admit(credentials) {
      const all = [GROUND, ...credentials].map(({ user, secret }) => `${user}:${secret}\n`).join('')
      writeFileSync(join(dir, 'passwd'), all, { mode: 0o600 })
      execFileSync(passwd.path, ['-U', join(dir, 'passwd')], { env: passwd.env })
    },
  }
}

t.test(
  'a paired drone learns over Mosquitto with TLS, passwords and the documented access list, also when it is killed',
  { skip: typeof mosquitto === 'string' && mosquitto },
  async t => {
    const dir = mkdtempSync(join(tmpdir(), 'kestrel-mosquitto-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    const authority = await createAuthority('The network of the test')
    const { key, certificate } = await issueCertificate(authority, ['localhost', '127.0.0.1'])
    writeFileSync(join(dir, 'ca.pem'), authority.certificate)
    writeFileSync(join(dir, 'broker.pem'), certificate)
    writeFileSync(join(dir, 'broker.key'), key, { mode: 0o600 })
    writeFileSync(join(dir, 'password'), GROUND.secret, { mode: 0o600 })
    const port = await freePort()
    const { broker, admit } = prepare(dir, port)
    t.teardown(() => broker.kill())
    const url = `mqtts://127.0.0.1:${port}`
    // Both start before it is there.
    const flight = await startPairedFlight(t, {
      broker: url,
      brokerAuth: {
        user: GROUND.user,
        passwordFile: join(dir, 'password'),
        caFile: join(dir, 'ca.pem'),
      },
      dashboard: { enabled: false },
    })
    t.equal(flight.ground.brokerUrl, url)
    admit([flight.credentials, flight.others])
    await broker.start()
    await flight.learns(2)

    // Another drone hears and says nothing of this one: Mosquitto drops it, silently as MQTT 3.1.1 has it.
    const { user, secret, ca } = flight.others
    const stranger = connectMqtt({ url, clientId: 'stranger', auth: { user, secret, ca }, log: silentLog })
    t.teardown(() => stranger.close())
    const overheard: string[] = []
    const hear = (name: string) => void overheard.push(name)
    await stranger.subscribe(topic(flight.drone, 'update'), hear).catch(() => {})
    await stranger.publish(topic(flight.drone, 'status'), Uint8Array.of(1, 2, 3), { qos: 1, retain: true })
    await flight.learns(1)
    t.same(overheard, [])
    t.same(flight.ground.refused, {}, 'nothing of it came through')

    await broker.kill()
    await waitFor('both to miss it', () => lost() >= 2, {
      timeoutS: 60,
      context: () => broker.output,
    })
    await broker.start()
    await flight.learns(2)
    t.same(
      flight.log.lines.filter(line => /wrong-base|wrong-digest|does not know/.test(line)),
      [],
      'the chain of versions is whole',
    )

    function lost(): number {
      return flight.log.lines.filter(line => line.includes('Lost the broker')).length
    }
  },
)
