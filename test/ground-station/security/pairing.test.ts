import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pairAgent } from '@kestrel/agent'
import {
  DroneRegistry,
  groundConfigSchema,
  openIdentity,
  PairServer,
  pairDrone,
  Signer,
  serverCertificate,
} from '@kestrel/ground-station'
import { decodeEnvelope, encodeEnvelope, parseCredentials, readCredentials } from '@kestrel/link'
import { parseConfig, VirtualClock } from '@kestrel/runtime'
import t from 'tap'

const folder = mkdtempSync(join(tmpdir(), 'kestrel-pairing-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

const mode = (file: string) => statSync(file).mode & 0o777

const config = parseConfig(
  { listen: { host: '0.0.0.0' }, student: 's.onnx', teacher: 't.onnx', stateDir: join(folder, 'state') },
  groundConfigSchema,
  'the test',
)
const identity = await openIdentity(join(folder, 'state', 'identity'))
const registry = new DroneRegistry(identity)

function agentConfig(drone: string): string {
  const file = join(folder, `${drone}.yaml`)
  writeFileSync(file, `drone: ${drone}\nstudent: s.onnx\nstateDir: ${drone}-state\ncamera: {source: x.mp4}\n`)
  return file
}

t.test('an identity is made once, and read by its owner only', async t => {
  t.equal(mode(identity.folder), 0o700)
  for (const name of readdirSync(identity.folder)) t.equal(mode(join(identity.folder, name)), 0o600, name)
  const again = await openIdentity(identity.folder)
  t.equal(again.publicKey, identity.publicKey)
  t.equal(again.authority.certificate, identity.authority.certificate)
  const both = await Promise.all([1, 2, 3].map(() => openIdentity(join(folder, 'raced'))))
  t.equal(
    new Set(both.map(({ publicKey }) => publicKey)).size,
    1,
    'who comes at the same time gets the same one',
  )
  const key = join(folder, 'raced', 'signing.key')
  chmodSync(key, 0o644)
  await t.rejects(openIdentity(join(folder, 'raced')), /signing\.key is open to other users \(mode 0644\)/)
  chmodSync(key, 0o600)
  writeFileSync(key, 'no key')
  await t.rejects(openIdentity(join(folder, 'raced')), /is damaged/)
})

t.test('the list of drones: names of any kind, secrets that are not in it, another process', async t => {
  const secret = registry.add('scout-1', Date.UTC(2026, 10, 28))
  t.ok(registry.matches('scout-1', secret))
  t.notOk(registry.matches('scout-1', `${secret}x`))
  t.notOk(registry.matches('scout-2', secret))
  for (const name of ['constructor', 'hasownproperty', 'valueof', 'tostring']) {
    t.notOk(registry.matches(name, secret), name)
    t.equal(registry.keyOf(name), undefined)
    t.notOk(registry.remove(name))
  }
  const file = join(identity.folder, 'drones.json')
  t.notMatch(readFileSync(file, 'utf8'), secret)
  const other = new DroneRegistry(identity)
  other.add('constructor', 0)
  t.same(
    registry.list().map(({ drone }) => drone),
    ['constructor', 'scout-1'],
  )
  const next = other.add('scout-1', 0)
  t.notOk(registry.matches('scout-1', secret), 'the secret before is void')
  t.ok(registry.matches('scout-1', next))
  t.ok(registry.remove('scout-1'))
  t.notOk(other.matches('scout-1', next))
  t.throws(() => registry.add('Scout 1', 0), /lower-case/)
})

t.test('credentials: a file that the agent takes and its owner alone may read', async t => {
  const credentials = pairDrone('scout-1', { config, identity, registry, host: '192.168.7.2', at: 0 })
  t.match(credentials, { drone: 'scout-1', user: 'scout-1', broker: 'mqtts://192.168.7.2:1883' })
  const file = join(folder, 'given.json')
  writeFileSync(file, JSON.stringify(credentials))
  const yaml = agentConfig('scout-1')
  t.match(await pairAgent(file, yaml), /scout-1 is paired.*Remove .*given\.json now/)
  const kept = join(folder, 'scout-1-state', 'credentials.json')
  t.equal(mode(kept), 0o600)
  t.same(readCredentials(kept), credentials)
  await t.rejects(pairAgent(file, agentConfig('scout-2')), /credentials of "scout-1".*drone: scout-2/)
  await t.rejects(pairAgent(join(folder, 'none.json'), yaml), /cannot be read/)
  for (const broken of ['', '{', '{}', JSON.stringify({ ...credentials, groundKey: 'x' })]) {
    writeFileSync(file, broken)
    await t.rejects(pairAgent(file, yaml), { name: 'UserError', message: /kestrel-ground pair/ })
  }
  const damaged = { ...credentials, groundKey: '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----' }
  t.throws(() => parseCredentials(JSON.stringify(damaged), 'x'), /is damaged/)
  const short = JSON.stringify({ ...credentials, secret: 'hunter2' })
  let said = ''
  try {
    parseCredentials(short, 'x')
  } catch (error) {
    said = String(error)
  }
  t.match(said, /secret: /)
  t.notMatch(said, /hunter2/, 'what is wrong is said, but not what the secret is')
  chmodSync(kept, 0o640)
  t.throws(() => readCredentials(kept), /open to other users \(mode 0640\)/)
})

t.test('an address that works once, and only for who knows all of it', async t => {
  let issued = 0
  const certificate = await serverCertificate(identity)
  const issue = () => {
    issued++
    return JSON.stringify(pairDrone('scout-3', { config, identity, registry, host: '127.0.0.1', at: 0 }))
  }
  const server = new PairServer({ certificate, issue })
  await server.start(0)
  const url = server.url('127.0.0.1')
  const yaml = agentConfig('scout-3')
  const bare = url.slice(0, url.indexOf('#'))
  await t.rejects(pairAgent(bare, yaml), /no whole address/)
  const other = url.replace(/#.*/, `#${'A'.repeat(43)}`)
  await t.rejects(pairAgent(other, yaml), /not the ground station that made this address/)
  await t.rejects(pairAgent(url.replace(/\/pair\/..../, '/pair/AAAA'), yaml), /answers 404/)
  const status = (method: string, path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request(new URL(path, bare), { method, rejectUnauthorized: false, agent: false }, response => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
  t.equal(await status('POST', bare), 404)
  t.equal(await status('GET', '/'), 404)
  t.equal(issued, 0, 'nothing was handed out yet')
  t.match(await pairAgent(url, yaml), /scout-3 is paired/)
  t.equal(await server.done, 'fetched')
  await t.rejects(pairAgent(url, yaml), /used before/)
  t.equal(issued, 1)
  await server.stop()
  await t.rejects(pairAgent(url, yaml), /gave no credentials/)

  const noisy = new PairServer({ certificate, issue })
  await noisy.start(0)
  const wrong = new URL('/pair/x', noisy.url('127.0.0.1')).href
  for (let i = 0; i < 50; i++) await status('GET', wrong)
  t.equal(await noisy.done, 'abused')
  await noisy.stop()
})

t.test('the counter of signatures only grows, whatever the clock and the power do', async t => {
  const clock = new VirtualClock(5_000_000)
  const name = 'kestrel/v1/a/control'
  const counterOf = (signer: Signer) => {
    const bytes = signer.sign(name, encodeEnvelope({ case: 'control', value: {} }, { clock }))
    const { signature } = decodeEnvelope(bytes)
    return signature!.counter
  }
  let last = 0n
  for (const nowMs of [5_000_000, 0, 9e12, 5_000_000]) {
    const signer = new Signer(identity, { clock: new VirtualClock(nowMs) })
    signer.start()
    for (let i = 0; i < 1100; i++) {
      const counter = counterOf(signer)
      if (counter <= last) t.fail(`${counter} after ${last}`)
      last = counter
    }
  }
  rmSync(join(identity.folder, 'counter'))
  const signer = new Signer(identity, { clock: new VirtualClock(10e12) })
  signer.start()
  t.ok(counterOf(signer) > last, 'a counter that was lost goes on from the time')
  writeFileSync(join(identity.folder, 'counter'), 'twelve', { mode: 0o600 })
  t.throws(() => new Signer(identity, { clock }).start(), /holds no number/)
})
