import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GroundTrust } from '@kestrel/agent'
import {
  decodeEnvelope,
  encodeEnvelope,
  MessageRefused,
  type PayloadInit,
  signEnvelope,
  topic,
  type What,
} from '@kestrel/link'
import { silentLog, VirtualClock } from '@kestrel/runtime'
import t, { type Test } from 'tap'

const clock = new VirtualClock(0)
const ground = generateKeyPairSync('ed25519')
const payloads = {
  control: { case: 'control', value: { paused: true } },
  update: { case: 'update', value: { version: 1 } },
} satisfies Partial<Record<What, PayloadInit>>

function setUp(t: Test) {
  const stateDir = mkdtempSync(join(tmpdir(), 'kestrel-trust-'))
  const opened: GroundTrust[] = []
  t.teardown(async () => {
    // Counters that are being written would come into the folder while it is removed.
    for (const trust of opened) await trust.stop()
    rmSync(stateDir, { recursive: true, force: true, maxRetries: 5 })
  })
  const open = (key = ground.publicKey) => {
    const trust = new GroundTrust({ drone: 'a', key, stateDir, log: silentLog })
    trust.start()
    opened.push(trust)
    return trust
  }
  return { stateDir, open }
}

function outcome(trust: GroundTrust, what: keyof typeof payloads, counter: bigint): string {
  const plain = encodeEnvelope(payloads[what], { clock })
  const bytes = signEnvelope(plain, { topic: topic('a', what), counter, key: ground.privateKey })
  try {
    trust.admit(what, trust.verify(what, bytes, decodeEnvelope(bytes)))
    return 'taken'
  } catch (error) {
    if (error instanceof MessageRefused) return error.reason
    throw error
  }
}

t.test('old messages stay old over a restart; the newest may come again', async t => {
  const { open, stateDir } = setUp(t)
  let trust = open()
  t.equal(outcome(trust, 'control', 10n), 'taken')
  t.equal(outcome(trust, 'control', 9n), 'replay')
  t.equal(outcome(trust, 'update', 5n), 'taken', 'each kind has its own')
  t.equal(outcome(trust, 'update', 5n), 'taken', 'another part of the same update')
  t.equal(outcome(trust, 'update', 4n), 'replay')
  for (let i = 11n; i < 200n; i++) outcome(trust, 'control', i)
  await trust.stop()
  t.equal(statSync(join(stateDir, 'ground-counters.json')).mode & 0o777, 0o600)
  trust = open()
  t.equal(outcome(trust, 'control', 198n), 'replay')
  t.equal(outcome(trust, 'control', 199n), 'taken', 'control is retained, and comes again')
  t.equal(outcome(trust, 'update', 4n), 'replay')
  await trust.stop()
})

t.test('another ground station begins with its own numbers; a damaged file keeps nobody out', async t => {
  const { open, stateDir } = setUp(t)
  const first = open()
  outcome(first, 'control', 100n)
  await first.stop()
  const other = open(generateKeyPairSync('ed25519').publicKey)
  t.equal(outcome(other, 'control', 500n), 'signature', 'not with the key of the one before')
  other.admit('control', 1n)
  await other.stop()
  writeFileSync(join(stateDir, 'ground-counters.json'), '{"key"')
  t.equal(outcome(open(), 'control', 1n), 'taken')
})

t.test('a message on a topic of another kind is refused, paired or not', async t => {
  const { open } = setUp(t)
  const bytes = encodeEnvelope(payloads.control, { clock })
  t.throws(() => open().verify('update', bytes, decodeEnvelope(bytes)), { message: /where update belongs/ })
  const unpaired = new GroundTrust({ drone: 'a', stateDir: '/nowhere', log: silentLog })
  unpaired.start()
  t.throws(() => unpaired.verify('update', bytes, decodeEnvelope(bytes)), { message: /where update belongs/ })
  t.equal(unpaired.verify('control', bytes, decodeEnvelope(bytes)), 0n)
})
