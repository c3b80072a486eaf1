import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encode, FrameReader, loadSigningKey, message, Signing } from '@kestrel/link/mavlink'
import { UserError, VirtualClock } from '@kestrel/runtime'
import { common } from 'mavlink-mappings'
import { MavLinkPacketSignature, MavLinkProtocolV2 } from 'node-mavlink'
import { test } from 'tap'

const key = Buffer.alloc(32, 'k')
const start = Date.UTC(2026, 5, 1)
/** 10 µs since 2015, as the standard counts. */
const ticksAt = (ms: number) => (ms - Date.UTC(2015, 0, 1)) * 100
const us = { system: 1, component: 191 }
const minute = 6_000_000

function memory(ticks?: number) {
  const kept = { ticks, saves: 0 }
  return {
    kept,
    store: {
      load: () => kept.ticks,
      save: (value: number) => {
        kept.ticks = value
        kept.saves += 1
      },
    },
  }
}

function signer(options: { linkId?: number; key?: Buffer; clock?: VirtualClock; stored?: number } = {}) {
  const clock = options.clock ?? new VirtualClock(start)
  const { kept, store } = memory(options.stored)
  const signing = new Signing({ key: options.key ?? key, linkId: options.linkId ?? 3, clock, store })
  return { clock, kept, signing }
}

const value = message(common.NamedValueFloat, { timeBootMs: 5, name: 'KES_FPS', value: 9.5 })
const frame = (sequence = 0, from = us) => encode(value, sequence, from, { signed: true })
const ticksOf = (signed: Buffer) => new MavLinkPacketSignature(signed).timestamp

/** A frame that another implementation signed, at any time. */
function signedAt(ticks: number, options: { key?: Buffer; linkId?: number; system?: number } = {}): Buffer {
  const protocol = new MavLinkProtocolV2(options.system ?? 1, 1, MavLinkProtocolV2.IFLAG_SIGNED)
  const bare = protocol.serialize(value, 0)
  const signed = protocol.sign(bare, options.linkId ?? 0, options.key ?? key)
  const signature = new MavLinkPacketSignature(signed)
  signature.timestamp = ticks
  signature.signature = signature.calculate(options.key ?? key)
  return signed
}

test('Signatures are those of the standard, as another implementation checks them', async t => {
  const { signing } = signer()
  const signed = signing.sign(frame())
  const other = new MavLinkPacketSignature(signed)
  t.ok(other.matches(key))
  t.notOk(other.matches(Buffer.alloc(32, 'x')))
  t.equal(other.linkId, 3)
  t.equal(other.timestamp, ticksAt(start) + 1)
  // From the text of the standard: sha256(key + header + payload + CRC + link id + timestamp), the first 48 bits.
  const hash = createHash('sha256').update(key).update(signed.subarray(0, -6)).digest()
  t.same(signed.subarray(-6), hash.subarray(0, 6))
  t.equal(new FrameReader().read(signed).length, 1, 'the checksum is over the flag that says it is signed')
})

test('Timestamps rise strictly: in a burst, over a restart, and when the clock is set back', async t => {
  const clock = new VirtualClock(start)
  const { kept, store } = memory()
  const options = { key, linkId: 3, clock, store }
  const first = new Signing(options)
  const burst = Array.from({ length: 500 }, (_, i) => ticksOf(first.sign(frame(i & 255))))
  t.ok(burst.every((ticks, i) => i === 0 || ticks > burst[i - 1]))
  t.ok(burst[499] - burst[0] < 1000, '10 µs each and no more')
  t.ok(kept.saves < 5, 'not a write a packet')
  // Power cut, and a clock that lost half an hour.
  const back = new VirtualClock(start - 1_800_000)
  const second = new Signing({ ...options, clock: back })
  const after = ticksOf(second.sign(frame()))
  t.ok(after > burst[499], 'what was reserved before the cut is not used again')
  t.ok(after - burst[499] < minute, 'by a leap that partners take')
  const many = Array.from({ length: 3000 }, () => ticksOf(second.sign(frame())))
  t.ok(many.every((ticks, i) => ticks > (many[i - 1] ?? after)))
  t.ok(many.at(-1)! < kept.ticks!, 'never beyond the reservation')
  // A clean stop keeps the time exactly.
  second.stop()
  const third = new Signing({ ...options, clock: back })
  t.equal(ticksOf(third.sign(frame())), many.at(-1)! + 1)
  // A crash loop does not run away from the clock.
  const real = new VirtualClock(start + 60_000)
  for (let i = 0; i < 100; i++) new Signing({ ...options, clock: real }).sign(frame())
  t.ok(kept.ticks! - ticksAt(real.nowMs()) < minute)
})

test('Each frame is believed once, and only from who has the key', async t => {
  const { signing } = signer()
  const now = ticksAt(start)
  const good = signedAt(now)
  t.ok(signing.accepts(good, 251))
  t.notOk(signing.accepts(good, 251), 'replayed')
  t.notOk(signing.accepts(signedAt(now - 1), 251), 'older on the same stream')
  t.ok(signing.accepts(signedAt(now + 1), 251))
  t.ok(signing.accepts(signedAt(now, { linkId: 1 }), 251), 'another link has a stream of its own')
  t.ok(signing.accepts(signedAt(now, { system: 2 }), 251), 'so has another system')
  t.notOk(signing.accepts(signedAt(now + 2, { key: Buffer.alloc(32) }), 251), 'another key')
  const bent = signedAt(now + 3)
  bent[12] ^= 1
  t.notOk(signing.accepts(bent, 251), 'changed on the way')
  const moved = signedAt(now + 3)
  moved[moved.length - 13] = 9
  t.notOk(signing.accepts(moved, 251), 'moved to another link')
  t.same(signing.refused, { unsigned: 0, wrongSignature: 3, replayed: 2, old: 0 })
})

test('A new stream may be a minute old, not more; a known one that lags goes on', async t => {
  const { signing, clock } = signer()
  const now = ticksAt(start)
  t.notOk(signing.accepts(signedAt(now - minute - 1), 251))
  t.ok(signing.accepts(signedAt(now - minute + 100), 251))
  await clock.advanceTo(start + 600_000)
  t.ok(signing.accepts(signedAt(now - minute + 200), 251))
  t.match(signing.refused, { old: 1 })
  // After a restart the streams are forgotten, the time is not.
  t.notOk(signing.accepts(signedAt(now, { linkId: 7 }), 251), 'recorded ten minutes ago')
})

test('A partner with a later time sets ours', async t => {
  const { signing, kept } = signer()
  const ahead = ticksAt(start) + 50 * minute
  t.ok(signing.accepts(signedAt(ahead), 251))
  t.ok(ticksOf(signing.sign(frame())) > ahead)
  t.ok(kept.ticks! > ahead, 'and that is kept')
})

test('Unsigned and MAVLink 1 frames are refused, but for the radio, which has no key', async t => {
  const { signing } = signer()
  const heard: string[] = []
  const reader = new FrameReader((whole, id) => signing.accepts(whole, id))
  const take = (bytes: Buffer) => {
    for (const { data } of reader.read(bytes)) heard.push(data.constructor.name)
  }
  take(encode(value, 0, us))
  const radio = { rssi: 200, remrssi: 190, txbuf: 90, noise: 40, remnoise: 40, rxerrors: 0, fixed: 0 }
  take(encode(message(common.RadioStatus, radio), 0, { system: 51, component: 68 }))
  take(signedAt(ticksAt(start)))
  t.same(heard, ['RadioStatus', 'NamedValueFloat'])
  t.equal(signing.refused.unsigned, 1)
})

test('The key is 32 bytes or a passphrase, in a file for its owner only', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-key-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const write = (name: string, content: Buffer | string, mode = 0o600) => {
    const file = join(folder, name)
    writeFileSync(file, content)
    chmodSync(file, mode)
    return file
  }
  const raw = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7))
  t.same(loadSigningKey(write('raw', raw)), raw)
  const hash = createHash('sha256').update('correct horse').digest()
  t.same(loadSigningKey(write('phrase', 'correct horse\n')), hash)
  t.same(loadSigningKey(write('phrase', 'correct horse')), MavLinkPacketSignature.key('correct horse'))
  const long = 'a passphrase of thirty-one bytes'.slice(0, 31)
  t.same(
    loadSigningKey(write('31', `${long}\n`)),
    createHash('sha256').update(long).digest(),
    '32 bytes of text are a passphrase',
  )
  t.throws(() => loadSigningKey(write('open', raw, 0o644)), /mode 0644.*chmod 600/)
  t.throws(() => loadSigningKey(write('group', raw, 0o640)), UserError)
  t.throws(() => loadSigningKey(write('short', raw.subarray(0, 31))), /31 bytes: expected 32/)
  t.throws(() => loadSigningKey(write('empty', '')), UserError)
  t.throws(() => loadSigningKey(join(folder, 'none')), UserError)
  process.env.CREDENTIALS_DIRECTORY = folder
  t.teardown(() => delete process.env.CREDENTIALS_DIRECTORY)
  t.same(
    loadSigningKey(write('cred', raw, 0o440)),
    raw,
    'systemd shows its access list as the mode of the group',
  )
})
