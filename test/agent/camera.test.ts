import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Frame, openCamera } from '@kestrel/agent'
import { type Log, RealClock, silentLog, VirtualClock } from '@kestrel/runtime'
import { encode } from 'fast-png'
import t from 'tap'
import { writeClip } from '../link/clips.js'
import { movingScene, psnr } from '../link/pictures.js'
import { needs, sharedPath } from '../support/shared.js'

type CameraOptions = Parameters<typeof openCamera>[0]

const images = Array.from({ length: 12 }, (_, i) => movingScene(i, 96, 64))

function clip(dir: string, fps = 20): string {
  const path = join(dir, 'clip.mp4')
  writeClip(path, images, { fps })
  return path
}

function folder(dir: string, names: string[]): string {
  for (const [i, name] of names.entries()) {
    const { width, height, data } = images[i]
    writeFileSync(join(dir, name), encode({ width, height, data, channels: 3, depth: 8 }))
  }
  return dir
}

const fast = (source: string, more: Partial<CameraOptions> = {}) =>
  openCamera({ source, pace: 'as-fast-as-possible', clock: new VirtualClock(5000), log: silentLog, ...more })

async function take(
  camera: { next(): Promise<Frame | undefined> },
  most = Number.POSITIVE_INFINITY,
): Promise<Frame[]> {
  const frames: Frame[] = []
  while (frames.length < most) {
    const frame = await camera.next()
    if (frame === undefined) break
    frames.push(frame)
  }
  return frames
}

/** Tells when the camera sleeps, which is when nothing more happens before the clock moves on. */
class WatchedClock extends VirtualClock {
  #asleep = 0

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.#asleep += 1
    await super.sleep(ms, signal)
    this.#asleep -= 1
  }

  async untilAsleep(): Promise<void> {
    while (this.#asleep === 0) await new Promise(resolve => setTimeout(resolve, 1))
  }
}

t.test('as fast as possible: every frame of a file, with its own times', async t => {
  const camera = await fast(clip(t.testdir()))
  t.match(camera, { width: 96, height: 64, fps: 20, description: 'clip.mp4 (96x64, 20 fps)' })
  await camera.start()
  const frames = await take(camera)
  t.equal(frames.length, images.length)
  for (const [i, { id, sourceIndex, captureMs, image }] of frames.entries()) {
    t.same([id, sourceIndex], [i, i])
    t.ok(Math.abs(captureMs - 5000 - 50 * i) < 1.5, `frame ${i} at ${captureMs} ms`)
    t.ok(psnr(images[i], image) > 28)
  }
  t.equal(await camera.next(), undefined, 'the end stays the end')
  t.equal(camera.dropped, 0)
  await camera.stop()
})

t.test('it is fetched only as far as it is asked for, and several may ask', async t => {
  const camera = await fast(clip(t.testdir()))
  await t.rejects(camera.next(), /not started/)
  await camera.start()
  const frames = await Promise.all([camera.next(), camera.next(), camera.next()])
  t.same(
    frames.map(frame => frame?.sourceIndex),
    [0, 1, 2],
  )
  const controller = new AbortController()
  const given = camera.next(controller.signal)
  controller.abort()
  t.equal(await given, undefined, 'one who gives up gets nothing')
  t.equal((await camera.next())?.sourceIndex, 3, 'and the frame is there for the next')
  const last = camera.next()
  await camera.stop()
  await last
  t.equal(await camera.next(), undefined)
})

t.test('a loop goes on with ids and times', async t => {
  const camera = await fast(clip(t.testdir()), { loop: true })
  await camera.start()
  const frames = await take(camera, 30)
  for (const [i, { id, sourceIndex, captureMs }] of frames.entries()) {
    t.same([id, sourceIndex], [i, i % 12])
    t.ok(Math.abs(captureMs - 5000 - 50 * i) < 5, `frame ${i} at ${captureMs} ms`)
  }
  await camera.stop()
})

t.test('a folder: natural order, its rate from outside', async t => {
  const dir = folder(t.testdir({ 'readme.txt': 'x', '.hidden.png': 'x' }), ['f10.png', 'f9.png', 'F1.PNG'])
  const camera = await fast(dir, { fps: 4 })
  await camera.start()
  const frames = await take(camera)
  t.same(
    frames.map(({ captureMs }) => captureMs),
    [5000, 5250, 5500],
  )
  for (const [i, original] of [2, 1, 0].entries()) {
    t.same(Buffer.from(frames[i].image.data), Buffer.from(images[original].data))
  }
  await camera.stop()
  const faster = await fast(clip(t.testdir()), { fps: 100 })
  await faster.start()
  const times = (await take(faster)).map(({ captureMs }) => captureMs)
  t.same(times.slice(0, 3), [5000, 5010, 5020], 'a rate given for a file takes the place of its own')
  await faster.stop()
})

t.test('in real time frames come when they are due, and late consumers lose the older ones', async t => {
  const clock = new WatchedClock(1000)
  const dir = folder(t.testdir(), ['0.png', '1.png', '2.png', '3.png', '4.png', '5.png'])
  const camera = await openCamera({ source: dir, fps: 10, pace: 'real-time', clock, log: silentLog })
  await camera.start()
  const first = await camera.next()
  t.match(first, { id: 0, captureMs: 1000 })
  let second: Frame | undefined
  const waiting = camera.next().then(frame => {
    second = frame
  })
  await clock.untilAsleep()
  t.equal(second, undefined, 'not before it is due')
  await clock.advanceTo(1100)
  await waiting
  t.match(second, { id: 1, captureMs: 1100 })
  for (const ms of [1200, 1300, 1400]) {
    await clock.untilAsleep()
    await clock.advanceTo(ms)
  }
  await clock.untilAsleep()
  t.match(await camera.next(), { id: 4, sourceIndex: 4, captureMs: 1400 }, 'the newest')
  t.equal(camera.dropped, 2)
  const controller = new AbortController()
  const given = camera.next(controller.signal)
  controller.abort()
  t.equal(await given, undefined)
  await clock.advanceTo(1500)
  t.match(await camera.next(), { id: 5 })
  t.equal(await camera.next(), undefined)
  await camera.stop()
})

t.test('a real clock, stopped in the middle', async t => {
  const clock = new RealClock()
  const camera = await openCamera({
    source: clip(t.testdir()),
    pace: 'real-time',
    loop: true,
    clock,
    log: silentLog,
  })
  await camera.start()
  const frames = await take(camera, 5)
  for (const [i, { captureMs, id }] of frames.entries()) {
    if (i > 0) t.ok(captureMs > frames[i - 1].captureMs && id > frames[i - 1].id)
  }
  const waiting = camera.next()
  await camera.stop()
  await waiting
  t.equal(await camera.next(), undefined)
})

t.test('what is no camera is one clear error', async t => {
  const dir = t.testdir({
    'notes.txt': 'x',
    empty: {},
    others: { 'a.txt': '', 'b.txt': '' },
    'bad.mp4': 'x',
    mixed: {},
  })
  const fails = (name: string, words: RegExp, more: Partial<CameraOptions> = {}) =>
    t.rejects(fast(join(dir, name), more), { name: 'UserError', message: words }, name)
  await fails('absent', /no camera source .*absent.*video file, a folder of frames or sim:/)
  await fails('notes.txt', /notes\.txt cannot be played as a video/)
  await fails('bad.mp4', /bad\.mp4/)
  await fails('empty', /no frames.*it is empty/, { fps: 1 })
  await fails('others', /no frames.*a\.txt, b\.txt/, { fps: 1 })
  await fails('notes.txt', /fps is -1/, { fps: -1 })
  const mixed = folder(join(dir, 'mixed'), ['1.png', '2.png'])
  await fails('mixed', /2 pictures, and their rate is missing/)
  const small = movingScene(0, 40, 30)
  writeFileSync(join(mixed, '3.png'), encode({ ...small, channels: 3, depth: 8 }))
  writeFileSync(join(mixed, '4.png'), 'x')
  for (const pace of ['as-fast-as-possible', 'real-time'] as const) {
    const camera = await fast(mixed, { fps: 1000, pace, clock: new RealClock() })
    await camera.start()
    await t.rejects(take(camera), { name: 'UserError', message: /1\.png is 96x64, 3\.png is 40x30/ }, pace)
    await camera.stop()
  }
})

t.test('a video that ends in damage is played as far as it goes', async t => {
  const path = join(t.testdir(), 'cut.mkv')
  writeClip(path, images, { fps: 20, keyEvery: 4 })
  const whole = readFileSync(path)
  writeFileSync(path, whole.subarray(0, whole.length * 0.7))
  const lines: string[] = []
  const log: Log = { ...silentLog, warn: line => lines.push(line) }
  const camera = await fast(path, { log })
  await camera.start()
  const frames = await take(camera)
  t.ok(frames.length >= 4 && frames.length < 12, `${frames.length} of 12`)
  t.ok(lines.length <= 1)
  await camera.stop()
})

const karma = sharedPath('data/aerial/karma.mp4')
t.test('twelve seconds of a real drone video', needs(karma), async t => {
  const camera = await fast(karma as string)
  await camera.start()
  let count = 0
  let last: Frame | undefined
  for (let frame = await camera.next(); frame !== undefined; frame = await camera.next()) {
    count += 1
    last = frame
  }
  t.equal(count, 362)
  t.ok(Math.abs((last as Frame).captureMs - 5000 - (1000 * 361) / 29.97) < 5)
  await camera.stop()
})
