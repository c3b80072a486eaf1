import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeStill, decodeVideoFile, Scaler, type VideoFrame } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import { createRng, UserError } from '@kestrel/runtime'
import fc from 'fast-check'
import { encode } from 'fast-png'
import t from 'tap'
import { needs, sharedPath } from '../support/shared.js'
import { writeClip } from './clips.js'
import { movingScene, plain, psnr } from './pictures.js'

async function all(path: string): Promise<VideoFrame[]> {
  const frames: VideoFrame[] = []
  for await (const frame of decodeVideoFile(path)) frames.push(frame)
  return frames
}

const images = Array.from({ length: 30 }, (_, i) => movingScene(i, 160, 96))

t.test('a video with B-frames comes out in order, drained to its last picture', async t => {
  for (const container of ['mp4', 'mkv', 'ts', 'mov']) {
    const path = join(t.testdir(), `clip.${container}`)
    writeClip(path, images, { fps: 10 })
    const video = decodeVideoFile(path)
    const { width, height, fps } = await video.probe()
    t.same([width, height, Math.round(fps)], [160, 96, 10], container)
    const frames = await all(path)
    t.equal(frames.length, images.length)
    t.same(
      frames.map(({ index }) => index),
      images.map((_, i) => i),
    )
    for (const { image, ptsMs, index } of frames) {
      const likeness = images.map(original => psnr(original, image))
      if (likeness.indexOf(Math.max(...likeness)) !== index) t.fail(`picture ${index} is another`)
      if (Math.abs(ptsMs - 100 * index) > 1.5) t.fail(`picture ${index} at ${ptsMs} ms`)
    }
    t.equal(video.skipped, 0)
  }
})

t.test(
  'a variable frame rate, a name with a colon and per cent signs, leaving early, reading again',
  async t => {
    const path = join(t.testdir(), 'http: 50%d.mkv')
    const timesMs = images.map((_, i) => i * 40 + (i > 10 ? 500 : 0) + (i % 3) * 7)
    writeClip(path, images, { fps: 25, timesMs })
    const frames = await all(path)
    t.same(
      frames.map(({ ptsMs }) => Math.round(ptsMs)),
      timesMs,
    )
    const video = decodeVideoFile(path)
    for (let i = 0; i < 20; i++) {
      for await (const { index } of video) if (index === 2) break
    }
    let count = 0
    for await (const _ of video) count += 1
    t.equal(count, images.length)
  },
)

t.test('pictures stand upright', async t => {
  // Red on top, blue at the bottom, as stored.
  const stored = plain(64, 48, [200, 20, 20])
  for (let i = 64 * 24 * 3; i < stored.data.length; i += 3) stored.data.set([20, 20, 200], i)
  const expected = { 1: 'right', 2: 'bottom', 3: 'left' } as const
  for (const turns of [1, 2, 3] as const) {
    const path = join(t.testdir(), `turned-${turns}.mp4`)
    writeClip(path, [stored, stored], { fps: 5, quarterTurns: turns })
    const { width, height } = await decodeVideoFile(path).probe()
    const [{ image }] = await all(path)
    t.same([image.width, image.height], [width, height])
    t.same([width, height], turns === 2 ? [64, 48] : [48, 64])
    const red = (x: number, y: number) => image.data[3 * (y * width + x)] > 120
    const edges = {
      top: red(width >> 1, 4),
      bottom: red(width >> 1, height - 5),
      left: red(4, height >> 1),
      right: red(width - 5, height >> 1),
    }
    t.ok(edges[expected[turns]], `after ${turns} quarter turns red is at the ${expected[turns]}`)
  }
})

t.test('what cannot be read is one clear error', async t => {
  const dir = t.testdir({ 'notes.txt': 'not a video', empty: '' })
  const whole = join(dir, 'whole.mp4')
  writeClip(whole, images, { fps: 10 })
  writeFileSync(join(dir, 'cut.mp4'), readFileSync(whole).subarray(0, 4000)) // its index is at the end
  for (const name of ['absent.mp4', '.', 'notes.txt', 'empty', 'cut.mp4']) {
    const path = join(dir, name)
    await t.rejects(all(path), { name: 'UserError', message: new RegExp(name.replaceAll('.', '\\.')) }, name)
    await t.rejects(decodeVideoFile(path).probe(), UserError, name)
  }
})

t.test('damage in the middle costs pictures, not the video', async t => {
  const path = join(t.testdir(), 'damaged.mkv')
  writeClip(path, images, { fps: 10, keyEvery: 5 })
  const bytes = readFileSync(path)
  const rng = createRng('damage')
  for (let i = bytes.length >> 2; i < bytes.length >> 1; i += 50) bytes[i] = rng.int(256)
  writeFileSync(path, bytes)
  const video = decodeVideoFile(path)
  const frames: VideoFrame[] = []
  for await (const frame of video) frames.push(frame)
  t.ok(frames.length >= 10 && frames.length < 30, `${frames.length} of 30 pictures`)
  t.ok(video.skipped > 0, `${video.skipped} skipped`)
  const last = frames[frames.length - 1]
  t.ok(psnr(last.image, images[29]) > 30, 'the end is whole')
  for (const [i, { ptsMs }] of frames.entries()) t.ok(i === 0 || ptsMs > frames[i - 1].ptsMs)
})

t.test('no damage crashes', async t => {
  const path = join(t.testdir(), 'clip.mkv')
  writeClip(path, images.slice(0, 8), { fps: 10 })
  const whole = readFileSync(path)
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(changes, fc.nat(whole.length), async (places, length) => {
      const bytes = Buffer.from(whole)
      for (const [at, value] of places) bytes[at] = value
      writeFileSync(path, bytes.subarray(0, Math.max(length, whole.length >> 1)))
      try {
        for (const { image } of await all(path)) {
          if (image.data.length !== 3 * image.width * image.height)
            throw new Error('a picture of a wrong length')
        }
      } catch (error) {
        if (!(error instanceof UserError)) throw error
      }
    }),
    { numRuns: 100 },
  )
})

t.test('stills', async t => {
  const dir = t.testdir({ 'text.jpg': 'no picture' })
  const { width, height, data } = movingScene(3, 50, 30)
  const png = join(dir, 'odd name %d.jpg') // the content counts, not the name
  writeFileSync(png, encode({ width, height, data, channels: 3, depth: 8 }))
  const image = await decodeStill(png)
  t.same([image.width, image.height], [50, 30])
  t.same(Buffer.from(image.data), Buffer.from(data), 'PNG is exact')
  const grey = join(dir, 'grey.png')
  writeFileSync(grey, encode({ width: 2, height: 1, data: Uint8Array.of(10, 200), channels: 1, depth: 8 }))
  t.same([...(await decodeStill(grey)).data], [10, 10, 10, 200, 200, 200])
  writeFileSync(join(dir, 'cut.png'), readFileSync(png).subarray(0, 300))
  for (const name of ['absent.png', 'text.jpg', 'cut.png']) {
    await t.rejects(decodeStill(join(dir, name)), { name: 'UserError', message: new RegExp(name) }, name)
  }
})

t.test('scaling down averages areas, scaling up stays in between', async t => {
  const scaler = new Scaler()
  const source = movingScene(1, 120, 80)
  const small = scaler.scale(source, 40, 32)
  const worst = Math.max(...areaAverage(source, 40, 32).map((value, i) => Math.abs(value - small.data[i])))
  t.ok(worst <= 1.5, `at most ${worst.toFixed(2)} levels from the exact average`)
  t.equal(scaler.scale(source, 120, 80), source, 'the same size costs nothing')
  const large = scaler.scale(plain(20, 10, [12, 130, 250]), 41, 33)
  t.same([large.width, large.height, large.data.length], [41, 33, 41 * 33 * 3])
  t.ok(large.data.every((value, i) => Math.abs(value - [12, 130, 250][i % 3]) <= 1))
  t.throws(() => scaler.scale({ width: 4, height: 4, data: new Uint8Array(5) }, 2, 2), RangeError)
  scaler.dispose()
})

/** The exact mean over the rectangle that each target pixel covers, in floating point. */
function areaAverage({ width, height, data }: RgbImage, toWidth: number, toHeight: number): number[] {
  const out: number[] = []
  for (let y = 0; y < toHeight; y++) {
    for (let x = 0; x < toWidth; x++) {
      const sum = [0, 0, 0]
      let weight = 0
      for (let v = 0; v < height; v++) {
        const rows = Math.min(v + 1, ((y + 1) * height) / toHeight) - Math.max(v, (y * height) / toHeight)
        if (rows <= 0) continue
        for (let u = 0; u < width; u++) {
          const columns = Math.min(u + 1, ((x + 1) * width) / toWidth) - Math.max(u, (x * width) / toWidth)
          if (columns <= 0) continue
          weight += rows * columns
          for (let c = 0; c < 3; c++) sum[c] += rows * columns * data[3 * (v * width + u) + c]
        }
      }
      out.push(...sum.map(value => value / weight))
    }
  }
  return out
}

const karma = sharedPath('data/aerial/karma.mp4')
t.test('a real drone video with a telemetry track', needs(karma), async t => {
  const video = decodeVideoFile(karma as string)
  const probe = await video.probe()
  t.match(probe, { width: 854, height: 480 })
  t.ok(Math.abs(probe.fps - 29.97) < 0.01)
  let count = 0
  let last = 0
  for await (const { ptsMs } of video) {
    count += 1
    last = ptsMs
  }
  t.equal(count, 362)
  t.ok(Math.abs(last - (1000 * 361) / 29.97) < 5)
})
