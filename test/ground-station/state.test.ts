import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeState, encodeState, FileStore, SavedSession, type SessionState } from '@kestrel/ground-station'
import { createRng, silentLog, UserError } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

function state(seed: number, size = 50): SessionState {
  const rng = createRng(seed)
  const vector = (length = size) => Float32Array.from({ length }, () => rng.normal())
  return {
    layoutDigest: 'ab'.repeat(32),
    shippedDigest: 'cd'.repeat(32),
    phase: rng.int(1000),
    flownVersion: rng.int(1000),
    issued: rng.int(1000),
    adamSteps: rng.int(1000),
    samplingFps: 0.1 + rng.float(),
    periodS: 10 + rng.int(50),
    rates: Array.from({ length: rng.int(6) }, () => rng.float()),
    refusedInRow: rng.int(5),
    previousVersion: rng.int(1000),
    rejected: Array.from({ length: rng.int(3) }, (_, i) => `0${i}`.repeat(32)),
    flown: vector(),
    trained: vector(),
    m: vector(),
    v: vector(),
    step: vector(seed % 2 === 0 ? size : 0),
    pending: Uint8Array.from({ length: rng.int(100) }, () => rng.int(256)),
    previous: vector(seed % 3 === 0 ? 0 : size),
  }
}

/** As a process has it that starts. @param term of a lease */
function open(dir: string, term?: number): SavedSession {
  return new SavedSession(new FileStore(dir), { drone: 'scout-1', term, log: silentLog })
}

t.test('what is saved is what is loaded', async t => {
  const dir = join(mkdtempSync(join(tmpdir(), 'kestrel-state-')), 'deeper')
  t.equal(await open(dir).load(), undefined, 'no file yet')
  for (const seed of [1, 2, 3]) {
    await open(dir).save(state(seed))
    t.same(await open(dir).load(), state(seed))
  }
  t.same(readdirSync(dir), ['scout-1.session'], 'nothing is left over')
  t.equal(statSync(join(dir, 'scout-1.session')).mode & 0o077, 0, 'for the owner alone')
})

t.test('an owner goes on from the one before, and one that was replaced changes nothing', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-state-'))
  await open(dir).save(state(1))
  const first = open(dir, 7)
  t.same(await first.load(), state(1), 'of before there was a cluster')
  await first.save(state(2))
  const second = open(dir, 11)
  t.same(await second.load(), state(2))
  await first.save(state(3))
  t.same(await open(dir, 12).load(), state(3), 'as long as the successor has saved nothing')
  await second.save(state(4))
  await first.save(state(5))
  t.same(await open(dir, 13).load(), state(4), 'what the replaced one saves is not gone on from')
  const third = open(dir, 13)
  writeFileSync(join(dir, 'scout-1.session.0000000000000011'), 'damaged')
  t.same(await third.load(), state(5), 'what is damaged is passed over')
  await third.save(state(6))
  t.same(readdirSync(dir).sort(), ['scout-1.session', 'scout-1.session.0000000000000013'])
})

t.test('a state of before there was going back', async t => {
  const { previousVersion: _, rejected: __, ...rest } = state(3)
  const bytes = Buffer.from(encodeState({ ...rest, previousVersion: 0, rejected: [] }))
  const size = bytes.readUInt32LE(8)
  const header = JSON.parse(bytes.toString('utf8', 12, 12 + size))
  delete header.previousVersion
  delete header.rejected
  delete header.lengths.previous
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(text.length)
  const body = Buffer.concat([bytes.subarray(0, 8), length, text, bytes.subarray(12 + size, -32)])
  const old = Buffer.concat([body, createHash('sha256').update(body).digest()])
  t.same(decodeState(old, 'old'), {
    ...rest,
    previousVersion: 0,
    rejected: [],
    previous: new Float32Array(0),
  })
})

t.test('a half-written successor does not matter', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-state-'))
  await open(dir).save(state(1))
  writeFileSync(join(dir, 'scout-1.session.new'), encodeState(state(2)).subarray(0, 100))
  t.same(await open(dir).load(), state(1))
  await open(dir).save(state(3))
  t.same(await open(dir).load(), state(3))
})

t.test('damaged, cut and foreign files are one clear error each', async t => {
  const good = Buffer.from(encodeState(state(2)))
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, flip, cut) => {
      const bad = Buffer.from(cut ? good.subarray(0, at) : good)
      if (!cut) bad[at] ^= flip
      try {
        decodeState(bad, 'a.session')
      } catch (error) {
        if (error instanceof UserError && error.message.startsWith('a.session cannot be used: ')) return
        throw error
      }
      throw new Error('accepted')
    }),
  )
  t.throws(() => decodeState(readFileSync(import.meta.filename), 'it'), { message: /no session state/ })
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-state-'))
  mkdirSync(join(dir, 'scout-1.session'))
  t.equal(await open(dir).load(), undefined, 'what cannot be read either')
})
