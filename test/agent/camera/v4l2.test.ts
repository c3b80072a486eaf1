import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  chooseMode,
  describeFormats,
  LiveCamera,
  listDevices,
  openCamera,
  parseAddress,
  V4l2Source,
  type WantedMode,
} from '@kestrel/agent'
import { RealClock, UserError } from '@kestrel/runtime'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { movingScene, psnr } from '../../link/pictures.js'
import { keptLog } from '../support.js'
import { recorded } from './devices.js'
import { FakeDevice, fakeKernel } from './fake-kernel.js'
import { jpeg } from './jpegs.js'

const { c920, slow, range, loopback, bayer } = recorded
const choose = (device: typeof c920, wanted: WantedMode = {}) =>
  chooseMode(device.formats, wanted, '/dev/video0')

t.test('the mode that is chosen where nothing is asked for', async t => {
  t.same(
    choose(c920),
    { fourcc: 'MJPG', width: 1280, height: 720, fps: 30 },
    'not 10 fps because it is uncompressed',
  )
  t.same(choose(slow), { fourcc: 'YUYV', width: 640, height: 480, fps: 29.97 }, 'a smaller size that moves')
  t.same(choose(range), { fourcc: 'NV12', width: 1280, height: 720, fps: 30 })
  t.same(choose(loopback), { fourcc: 'YU12', width: 1280, height: 720, fps: undefined })
})

t.test('the mode that is asked for, and nothing else', async t => {
  t.same(choose(c920, { width: 640, height: 480 }), { fourcc: 'YUYV', width: 640, height: 480, fps: 30 })
  t.same(choose(c920, { format: 'mjpeg', width: 640, height: 480 }), {
    fourcc: 'MJPG',
    width: 640,
    height: 480,
    fps: 30,
  })
  t.same(choose(c920, { format: 'YUYV', width: 1280 }), { fourcc: 'YUYV', width: 1280, height: 720, fps: 10 })
  t.same(choose(c920, { fps: 5, height: 1080 }), { fourcc: 'YUYV', width: 1920, height: 1080, fps: 5 })
  t.same(choose(slow, { fps: 30 }), { fourcc: 'YUYV', width: 640, height: 480, fps: 29.97 }, '29.97 is 30')
  t.same(choose(range, { width: 1000, height: 700, fps: 90 }), {
    fourcc: 'NV12',
    width: 1000,
    height: 700,
    fps: 90,
  })
  t.same(choose(loopback, { width: 64, height: 48, fps: 12 }), {
    fourcc: 'YU12',
    width: 64,
    height: 48,
    fps: 12,
  })
})

t.test('what is not offered is an error that lists what is', async t => {
  const fails = (device: typeof c920, wanted: WantedMode, message: RegExp) =>
    t.throws(() => choose(device, wanted), { name: 'UserError', message })
  fails(
    c920,
    { width: 1024, height: 768 },
    /\/dev\/video0 does not offer 1024x768\. It offers:\n {2}YUYV: 640x480 30, 24, 20/,
  )
  fails(c920, { format: 'nv12', fps: 30 }, /does not offer nv12, 30 fps/)
  fails(c920, { format: 'h264' }, /does not offer h264/)
  fails(slow, { width: 1280, height: 720, fps: 30 }, /1280x720 5 fps; 640x480 29\.97, 15 fps/)
  fails(range, { width: 1001, height: 700 }, /32x32 to 3280x2464 in steps of 2x2 1 to 120 fps/)
  fails(bayer, {}, /does not offer a format that can be used.*\n.*pRAA.*\n.*exec: with rpicam-vid/)
  t.throws(() => chooseMode([], {}, '/dev/video9'), /It offers no formats at all/)
})

t.test('whatever is chosen was offered', async () => {
  const formats = fc.constantFrom(...Object.values(recorded))
  const wish = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
  const wanted = fc.record({
    width: wish(fc.constantFrom(640, 1280, 1920, 1001)),
    height: wish(fc.constantFrom(480, 720, 1080)),
    fps: wish(fc.constantFrom(5, 15, 30, 31)),
    format: wish(fc.constantFrom('mjpeg', 'yuyv', 'nv12', 'YU12')),
  })
  fc.assert(
    fc.property(formats, wanted, (device, wishes) => {
      let mode: ReturnType<typeof choose>
      try {
        mode = choose(device, wishes)
      } catch (error) {
        if (error instanceof UserError) return
        throw error
      }
      const offer = device.formats.find(({ fourcc }) => fourcc === mode.fourcc)
      const fits = offer?.sizes.some(({ size, rates }) => {
        const same =
          'max' in size
            ? mode.width >= size.min.width &&
              mode.width <= size.max.width &&
              (mode.width - size.min.width) % size.step.width === 0
            : size.width === mode.width && size.height === mode.height
        const { fps } = mode
        const has = rates.some(rate =>
          typeof rate === 'number' ? rate === fps : fps !== undefined && fps >= rate.min && fps <= rate.max,
        )
        return same && (has || rates.length === 0)
      })
      if (!fits && offer?.sizes.length !== 0) throw new Error(`${JSON.stringify(mode)} was not offered`)
      for (const key of ['width', 'height'] as const) {
        if (wishes[key] !== undefined && wishes[key] !== mode[key]) throw new Error(`${key} is ${mode[key]}`)
      }
      if (wishes.fps !== undefined && mode.fps !== undefined && Math.abs(wishes.fps - mode.fps) > 0.5)
        throw new Error('the rate')
    }),
    { numRuns: 500 },
  )
})

t.test('formats, sizes and rates are read from the driver', async t => {
  const dev = t.testdir({
    video0: '',
    video1: '',
    video2: '',
    video10: '',
    'video-x': '',
    v4l: { 'by-id': {}, 'by-path': {} },
  })
  symlinkSync('../../video0', join(dev, 'v4l/by-path/platform-usb-0:1.3-video-index0'))
  symlinkSync('../../video0', join(dev, 'v4l/by-id/usb-046d_C920_1234-video-index0'))
  symlinkSync('../../video1', join(dev, 'v4l/by-id/usb-046d_C920_1234-video-index1'))
  const metadata = new FakeDevice(c920, [])
  metadata.caps = 0x04a0_0000
  const locked = new FakeDevice(slow, [])
  locked.failures.set('open', 'EACCES')
  const devices: Record<string, FakeDevice> = {
    [join(dev, 'video0')]: new FakeDevice(c920, c920.formats),
    [join(dev, 'video1')]: metadata,
    [join(dev, 'video2')]: locked,
    [join(dev, 'video10')]: new FakeDevice(range, range.formats),
  }
  const kernel = fakeKernel(devices)
  const found = listDevices(kernel, { dev })
  t.same(
    found.map(({ path }) => path.slice(dev.length)),
    ['/video0', '/video2', '/video10'],
    'in order, without the node that only carries metadata',
  )
  t.match(found[0], {
    identity: { card: 'HD Pro Webcam C920', bus: 'usb-0000:01:00.0-1.3', driver: 'uvcvideo', captures: true },
    stableNames: [
      join(dev, 'v4l/by-id/usb-046d_C920_1234-video-index0'),
      join(dev, 'v4l/by-path/platform-usb-0:1.3-video-index0'),
    ],
  })
  const rounded = JSON.parse(JSON.stringify(found[0]), (_, value) =>
    typeof value === 'number' ? Number(value.toFixed(2)) : value,
  )
  t.same(rounded.formats, c920.formats)
  t.match(found[1], { reason: /EACCES/ })
  t.match(found[2], { formats: range.formats })
  t.equal(kernel.openFiles(), 0)
  t.match(describeFormats(slow.formats), ['YUYV: 1280x720 5 fps; 640x480 29.97, 15 fps'])
  t.same(listDevices(kernel, { dev: join(dev, 'absent') }), [])
  const twins = ['NV12', 'YUYV', 'RGB1', 'XR24'].map(fourcc => ({ ...slow.formats[0], fourcc, name: fourcc }))
  t.same(describeFormats(twins), [
    'NV12, YUYV: 1280x720 5 fps; 640x480 29.97, 15 fps',
    'not used: RGB1 (RGB1), XR24 (XR24)',
  ])
})

function setUp(t: Test, device: FakeDevice, wanted: WantedMode = {}, path = '/dev/video0') {
  const devices: Record<string, FakeDevice> = { [path]: device }
  const kernel = fakeKernel(devices)
  const clock = new RealClock()
  const log = keptLog()
  const dev = t.testdir({ v4l: { 'by-id': {} } })
  const source = new V4l2Source(path, { wanted, kernel, clock, dev })
  const camera = new LiveCamera(source, { stallMs: 1000, clock, log })
  t.teardown(() => camera.stop())
  return { kernel, clock, log, camera, devices, dev, source }
}

const [width, height] = [64, 48]
const small = (fourcc: string) => [
  { fourcc, name: fourcc, sizes: [{ size: { width, height }, rates: [30, 15] }] },
]

t.test('it streams: the newest frame, its time, and what was lost', async t => {
  const device = new FakeDevice(c920, small('MJPG'))
  const { camera, clock, kernel } = setUp(t, device, { fps: 15 })
  await camera.start()
  t.match(camera, { width, height, fps: 15, description: 'HD Pro Webcam C920 (MJPG 64x48, 15 fps)' })
  t.same(device.mode, { fourcc: 'MJPG', width, height, fps: 15 })
  t.equal(device.queued.size, 4, 'the driver has all buffers')
  const scenes = Array.from({ length: 8 }, (_, i) => movingScene(i, width, height))
  const now = process.hrtime.bigint() / 1000n
  const before = clock.nowMs()
  // Taken 80 ms ago.
  device.frame(jpeg(scenes[0]), { monotonicUs: now - 80_000n })
  const first = await camera.next()
  t.ok(first !== undefined && psnr(scenes[0], first.image) > 25)
  const ageMs = before - (first?.captureMs ?? 0)
  t.ok(Math.abs(ageMs - 80) < 1, `taken ${ageMs} ms before`)
  // Four fit, two are lost in the driver; of the four, one is damaged, one is the newest.
  for (let i = 1; i < 7; i++) device.frame(jpeg(scenes[i]), { damaged: i === 4 })
  const second = await camera.next()
  t.ok(second !== undefined && psnr(scenes[3], second.image) > 25, 'the newest that is whole')
  device.frame(jpeg(scenes[7]), { monotonicUs: now + 3_600_000_000n })
  const third = await camera.next()
  t.ok((third?.captureMs ?? 0) <= clock.nowMs(), 'a time in the future is not believed')
  t.equal(camera.dropped, 5, '2 overtaken, 1 damaged, 2 lost in the driver')
  t.equal(device.queued.size, 4)
  await camera.stop()
  t.equal(kernel.openFiles(), 0)
  t.equal(device.mapped, 0)
  t.notOk(device.streaming)
})

t.test('uncompressed pictures with padded lines', async t => {
  for (const [fourcc, chroma] of [
    ['NV12', 0.5],
    ['YU12', 0.5],
    ['GREY', 0],
  ] as const) {
    const device = new FakeDevice(range, small(fourcc))
    device.bytesPerLine = 80
    const { camera } = setUp(t, device)
    await camera.start()
    // Grey, and something glaring where nobody should look.
    const lines = height * (1 + chroma)
    const bytes = new Uint8Array(80 * lines).fill(128)
    const planes =
      fourcc === 'YU12'
        ? [
            [80, 64, height],
            [40, 32, height],
          ]
        : [[80, 64, lines]]
    let at = 0
    for (const [stride, used, count] of planes) {
      for (let y = 0; y < count; y++, at += stride) bytes.fill(255, at + used, at + stride)
    }
    device.frame(bytes)
    const frame = await camera.next()
    t.ok(
      frame?.image.data.every(value => Math.abs(value - 128) < 4),
      fourcc,
    )
    await camera.stop()
  }
})

t.test('unplugged and plugged in again under another number', async t => {
  const device = new FakeDevice(c920, small('MJPG'))
  const { devices, dev, kernel } = setUp(t, device)
  // Its stable name; for a fake kernel it is a file like any other.
  const target = join(dev, 'video0')
  writeFileSync(target, '')
  const stable = join(dev, 'v4l/by-id/usb-c920')
  symlinkSync('../../video0', stable)
  const source = new V4l2Source(target, { wanted: {}, kernel, clock: new RealClock(), dev })
  devices[target] = device
  const stream = await source.open()
  await stream.close()
  device.plugged = false
  await t.rejects(source.open(), /there is no such device: plug the camera in/)
  const again = new FakeDevice(c920, small('MJPG'))
  devices[stable] = again
  devices[target] = new FakeDevice(slow, small('MJPG'))
  await (await source.open()).close()
  t.equal(again.opens, 1, 'by its stable name')
  t.equal(devices[target].opens, 0)
  delete devices[stable]
  await t.rejects(source.open(), /another camera now \(Endoscope\)/)
})

t.test('unplugged while it streams', async t => {
  const device = new FakeDevice(c920, small('MJPG'))
  const { camera, log, devices, kernel } = setUp(t, device)
  await camera.start()
  device.frame(jpeg(movingScene(0, width, height)))
  t.ok(await camera.next())
  device.unplug()
  const next = camera.next()
  while (camera.trouble === undefined) await new Promise(resolve => setTimeout(resolve, 5))
  t.equal(camera.trouble, 'it was unplugged')
  t.equal(kernel.openFiles(), 0)
  const again = new FakeDevice(c920, small('MJPG'))
  devices['/dev/video0'] = again
  while (!again.streaming) await new Promise(resolve => setTimeout(resolve, 5))
  again.frame(jpeg(movingScene(1, width, height)))
  t.match(await next, { id: 1 })
  t.equal(log.lines.filter(line => line.startsWith('info')).length, 1)
})

t.test('a camera that sends nothing more is closed and opened again', async t => {
  const device = new FakeDevice(c920, small('MJPG'))
  const { camera, kernel } = setUp(t, device)
  await camera.start()
  while (device.opens < 2) await new Promise(resolve => setTimeout(resolve, 10))
  t.match(camera.trouble, /no picture for 1 s/)
  t.equal(kernel.openFiles(), 1)
})

t.test('what the driver refuses', async t => {
  const failing = async (change: (device: FakeDevice) => void, message: RegExp, user = true) => {
    const device = new FakeDevice(c920, small('MJPG'))
    change(device)
    const { source, kernel } = setUp(t, device)
    const error = await source.open().then(
      () => undefined,
      (found: Error) => found,
    )
    t.match(error?.message, message)
    t.equal(error instanceof UserError, user, String(message))
    t.equal(kernel.openFiles(), 0, 'closed')
    t.equal(device.mapped, 0)
  }
  await failing(device => device.failures.set('QUERYCAP', 'ENOTTY'), /is no camera/)
  await failing(device => {
    device.caps = 0x0400_0002
  }, /takes no pictures/)
  await failing(device => {
    device.adjust = () => ({ width: 32, height: 24 })
  }, /asked for MJPG 64x48 and gives MJPG 32x24/)
  await failing(device => device.failures.set('open', 'EACCES'), /group video/, false)
  await failing(device => device.failures.set('S_FMT', 'EBUSY'), /another program uses it/, false)
  await failing(device => device.failures.set('STREAMON', 'ENOSPC'), /no bandwidth/, false)
  await failing(device => device.failures.set('QBUF', 'EIO'), /cable, power/, false)
})

t.test('a source that names a device', async t => {
  t.same(parseAddress('/dev/video3'), { kind: 'v4l2', path: '/dev/video3' })
  t.same(parseAddress('v4l2:/dev/v4l/by-id/x?width=640&height=480&fps=29.97&format=mjpeg'), {
    kind: 'v4l2',
    path: '/dev/v4l/by-id/x',
    width: 640,
    height: 480,
    fps: 29.97,
    format: 'mjpeg',
  })
  t.throws(() => parseAddress('v4l2:/dev/video0?with=3'), /unknown "with"; known are width/)
  t.throws(() => parseAddress('v4l2:/dev/video0?width=wide'), /width is wide/)
  t.throws(() => parseAddress('v4l2:'), /names no device/)
  const options = { pace: 'real-time', clock: new RealClock(), log: keptLog() } as const
  const none = await openCamera({ source: '/dev/null', ...options })
  await t.rejects(none.start(), { name: 'UserError', message: /\/dev\/null is no camera/ })
  const absent = await openCamera({ source: '/dev/video77', ...options })
  await absent.start()
  t.match(absent.trouble, /there is no such device/)
  await absent.stop()
})
