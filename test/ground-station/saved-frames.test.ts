import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import {
  decodeFrames,
  encodeFrames,
  FileStore,
  type LabelledFrame,
  SavedFrames,
} from '@kestrel/ground-station'
import { createRng, UserError } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

const IMAGE = 3 * 8 * 4

function frame(timeMs: number): LabelledFrame {
  const rng = createRng(timeMs)
  const bytes = (length: number, below: number) => Uint8Array.from({ length }, () => rng.int(below))
  return { timeMs, image: bytes(IMAGE, 256), labels: { width: 6, height: 5, data: bytes(30, 3) } }
}
const frames = (from: number, count: number) => Array.from({ length: count }, (_, i) => frame(from + i))
const damage: string[] = []
const unopened = (folder: string) => new SavedFrames(new FileStore(dirname(folder)), basename(folder))
const open = async (folder: string) => {
  const saved = unopened(folder)
  return { saved, loaded: await saved.load({ imageBytes: IMAGE, onDamaged: why => void damage.push(why) }) }
}

t.test('what was added by one process is what the next one loads, the newest 64', async t => {
  const folder = join(mkdtempSync(join(tmpdir(), 'kestrel-frames-')), 'scout.frames')
  t.same((await open(folder)).loaded, [])
  const first = (await open(folder)).saved
  await first.add(frames(0, 10))
  await first.add([])
  await first.add(frames(10, 3))
  const second = await open(folder)
  t.same(second.loaded, frames(0, 13))
  for (let i = 0; i < 20; i++) await second.saved.add(frames(100 + 10 * i, 10))
  const third = await open(folder)
  t.same(third.loaded, frames(240, 60), 'six segments of ten: a seventh would be too many')
  t.equal(readdirSync(folder).length, 6)
  await third.saved.add(frames(1000, 5))
  t.same((await open(folder)).loaded.slice(-5), frames(1000, 5), 'names go on where they were')
  const [name] = readdirSync(folder)
  t.equal(statSync(join(folder, name)).mode & 0o077, 0, 'for the owner alone')
  t.same(damage, [])
  await third.saved.clear()
  t.same((await open(folder)).loaded, [])
})

t.test('frames that were never asked for are not mixed with new ones', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-frames-'))
  await (await open(folder)).saved.add(frames(0, 4))
  await unopened(folder).add(frames(50, 2))
  t.same((await open(folder)).loaded, frames(50, 2))
})

t.test('a damaged file is left out, and the others stay', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-frames-'))
  const { saved } = await open(folder)
  for (const from of [0, 10, 20]) await saved.add(frames(from, 4))
  const [, middle] = readdirSync(folder)
  writeFileSync(join(folder, middle), readFileSync(join(folder, middle)).subarray(0, 50))
  writeFileSync(join(folder, '0000000099.frames.new'), 'half')
  damage.length = 0
  t.same((await open(folder)).loaded, [...frames(0, 4), ...frames(20, 4)])
  t.match(damage, [/0000000001.frames cannot be used: its checksum is wrong/])
  const other = unopened(folder)
  t.same(await other.load({ imageBytes: IMAGE + 3, onDamaged: () => {} }), [], 'those of another student')
  t.equal(readdirSync(folder).filter(name => name.endsWith('.frames')).length, 0)
})

t.test('any damage is one error', async t => {
  const good = Buffer.from(encodeFrames(frames(0, 3)))
  t.same(decodeFrames(good, 'good'), frames(0, 3))
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, flip, cut) => {
      const bad = Buffer.from(cut ? good.subarray(0, at) : good)
      if (!cut) bad[at] ^= flip
      try {
        decodeFrames(bad, 'a')
      } catch (error) {
        if (error instanceof UserError) return
        throw error
      }
      throw new Error('accepted')
    }),
  )
  t.pass()
})
