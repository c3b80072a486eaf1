import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readTlog, TlogWriter, tlogRecord } from '@kestrel/flight-log'
import { encode, FrameReader, message } from '@kestrel/link/mavlink'
import { createRng } from '@kestrel/runtime'
import { common, minimal } from 'mavlink-mappings'
import t from 'tap'
import { needs, sharedPath } from '../support/shared.js'

t.setTimeout(180_000)

/** Frames of several messages, systems and lengths, signed ones among them (whose signatures nobody checks here). */
function frames(count: number): Buffer[] {
  const rng = createRng('tlog')
  return Array.from({ length: count }, (_, i) => {
    const from = { system: 1 + rng.int(250), component: 1 }
    const text = `${String.fromCharCode(0xfd, 0xfe).repeat(rng.int(20))}x`
    const data =
      rng.int(2) === 0
        ? message(common.StatusText, { severity: rng.int(8), text, id: 0, chunkSeq: 0 })
        : message(minimal.Heartbeat, {
            type: 2,
            autopilot: 3,
            baseMode: rng.int(256),
            customMode: rng.int(30),
            systemStatus: 4,
            mavlinkVersion: 3,
          })
    const signed = rng.int(4) === 0
    const frame = encode(data, i & 0xff, from, { signed })
    return signed
      ? Buffer.concat([frame, Buffer.from(Array.from({ length: 13 }, () => rng.int(256)))])
      : frame
  })
}

/** Written from the format's description, with nothing of ours: time and packet, cut on the packet's own length. */
const python = `
import struct, sys, hashlib
data = open(sys.argv[1], 'rb').read()
at = 0
while at < len(data):
    time, = struct.unpack_from('>Q', data, at)
    magic, length = data[at + 8], data[at + 9]
    size = length + 8 if magic == 0xfe else length + 12 + (13 if data[at + 10] & 1 else 0)
    assert magic in (0xfd, 0xfe), (at, magic)
    packet = data[at + 8:at + 8 + size]
    assert len(packet) == size
    print(time, hashlib.sha256(packet).hexdigest())
    at += 8 + size
`

const hasPython = spawnSync('python3', ['--version']).status === 0
const withPython = { skip: hasPython ? (false as const) : 'no python3' }

t.test('a tlog is what was sent, by a reader of its own in Python', withPython, async t => {
  const path = join(t.testdir(), 'flight.tlog')
  const writer = new TlogWriter(path)
  const sent = frames(500)
  for (const [i, frame] of sent.entries()) {
    writer.add(1_700_000_000_000 + i * 7.25, frame)
    if (i % 100 === 0) await writer.flush()
  }
  await writer.close()
  const lines = execFileSync('python3', ['-c', python, path], { encoding: 'utf8' }).trim().split('\n')
  const { createHash } = await import('node:crypto')
  t.same(
    lines,
    sent.map(
      (frame, i) => `${1_700_000_000_000_000 + i * 7250} ${createHash('sha256').update(frame).digest('hex')}`,
    ),
  )
  t.equal(writer.packets, 500)
  const found = []
  for await (const packet of readTlog(path)) found.push(packet)
  t.same(
    found.map(({ timeUs, packet }) => [timeUs, packet.toString('hex')]),
    sent.map((frame, i) => [BigInt(1_700_000_000_000_000 + i * 7250), frame.toString('hex')]),
    'and ours finds the same',
  )
})

t.test(
  'whatever of a tlog is left, the packets before the cut are read, and damage costs what it hits',
  async t => {
    const path = join(t.testdir(), 'flight.tlog')
    const sent = frames(300).map((frame, i) => tlogRecord(1_700_000_000_000 + i, frame))
    const rng = createRng('cuts')
    for (let round = 0; round < 60; round++) {
      const whole = Buffer.concat(sent)
      writeFileSync(path, whole)
      const cut = rng.int(whole.length)
      truncateSync(path, cut)
      let expected = 0
      for (let at = 0; at + sent[expected].length <= cut; expected++) at += sent[expected].length
      let found = 0
      for await (const { packet } of readTlog(path)) {
        if (!packet.equals(sent[found].subarray(8))) t.fail(`packet ${found} after a cut at ${cut}`)
        found += 1
      }
      if (found !== expected) t.equal(found, expected, `cut at ${cut}`)
    }
    const damaged = Buffer.concat([...sent.slice(0, 100), Buffer.from('rubbish between'), ...sent.slice(100)])
    writeFileSync(path, damaged)
    const damage = { bytes: 0 }
    let found = 0
    for await (const _ of readTlog(path, damage)) found += 1
    t.equal(found, 300)
    t.equal(damage.bytes, 15)
  },
)

const vtol = sharedPath('data/flight-logs/vtol.tlog')
t.test('a real tlog survives a round trip, and node-mavlink knows its packets', needs(vtol), async t => {
  const path = join(t.testdir(), 'copy.tlog')
  const writer = new TlogWriter(path)
  const reader = new FrameReader()
  const damage = { bytes: 0 }
  let packets = 0
  let known = 0
  let last = 0n
  let backwards = 0
  for await (const { timeUs, packet } of readTlog(vtol!, damage)) {
    packets += 1
    known += reader.read(packet).length
    if (timeUs < last) backwards += 1
    last = timeUs
    writer.add(Number(timeUs) / 1000, packet)
    if (packets % 1000 === 0) await writer.flush()
  }
  await writer.close()
  t.equal(damage.bytes, 0, 'not a byte is passed over')
  t.ok(packets > 1000, `${packets} packets`)
  t.ok(known / packets > 0.9, `${known} of them known`)
  t.equal(backwards, 0)
  t.ok(readFileSync(path).equals(readFileSync(vtol!)), 'byte for byte')
})
