import {
  ArrivalClock,
  type CameraOptions,
  type Frame,
  openCamera,
  RtspSource,
  withoutPassword,
} from '@kestrel/agent'
import { RealClock } from '@kestrel/runtime'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { movingScene, psnr } from '../../link/pictures.js'
import { freePort } from '../../support/processes.js'
import { keptLog } from '../support.js'
import { h264, type RtspServer, rtspServer } from './rtsp-server.js'

t.setTimeout(120_000)

const [width, height] = [192, 128]
const scenes = Array.from({ length: 10 }, (_, i) => movingScene(i, width, height))
const pictures = h264(scenes)

async function serve(t: Test, options: { refuse?: string } = {}): Promise<RtspServer> {
  const server = await rtspServer(options)
  t.teardown(() => server.close())
  return server
}

/** Pictures as a camera sends them, over and over, until the end of the test or `stop`. */
function film(t: Test, server: RtspServer, everyMs = 40): { stop(): void } {
  let n = 0
  const timer = setInterval(() => {
    server.send(pictures[n % pictures.length], n * everyMs)
    n += 1
  }, everyMs)
  t.teardown(() => clearInterval(timer))
  return { stop: () => clearInterval(timer) }
}

async function setUp(t: Test, source: string, more: Partial<CameraOptions> = {}) {
  const log = keptLog()
  const camera = await openCamera({
    source,
    pace: 'real-time',
    clock: new RealClock(),
    log,
    stallS: 2,
    ...more,
  })
  t.teardown(() => camera.stop())
  return { camera, log, warnings: () => log.lines.filter(line => line.startsWith('warn')) }
}

for (const transport of ['tcp', 'udp'] as const) {
  t.test(`pictures over ${transport}`, async t => {
    const server = await serve(t)
    film(t, server)
    const { camera } = await setUp(t, server.url(), { transport })
    await camera.start()
    t.match(camera, { width, height, trouble: undefined })
    const clock = new RealClock()
    let last: Frame | undefined
    for (let i = 0; i < 12; i++) {
      const frame = (await camera.next()) as Frame
      const likeness = Math.max(...scenes.map(scene => psnr(scene, frame.image)))
      if (likeness < 28) t.fail(`picture ${frame.id} at ${likeness.toFixed(1)} dB`)
      t.ok(frame.captureMs <= clock.nowMs() && frame.captureMs > (last?.captureMs ?? 0))
      t.ok(frame.id > (last?.id ?? -1))
      last = frame
    }
  })
}

t.test('a slow consumer gets the newest, the rest is dropped and counted', async t => {
  const server = await serve(t)
  film(t, server)
  const { camera } = await setUp(t, server.url())
  await camera.start()
  const first = (await camera.next()) as Frame
  await new Promise(resolve => setTimeout(resolve, 600))
  const second = (await camera.next()) as Frame
  t.ok(second.id - first.id > 3, `${second.id - first.id} later`)
  t.ok(camera.dropped >= second.id - first.id - 1)
})

t.test('a camera that stalls, then breaks, is connected to again', async t => {
  const server = await serve(t)
  const one = film(t, server)
  const { camera, warnings, log } = await setUp(t, server.url())
  await camera.start()
  t.ok(await camera.next())
  one.stop()
  while (camera.trouble === undefined) await camera.next(AbortSignal.timeout(50))
  t.match(warnings()[0], /rtsp:\/\/127\.0\.0\.1:\d+\/camera: .*(no picture for 2 s|it ended).*Waiting for it/)
  film(t, server)
  t.ok(await camera.next())
  t.equal(camera.trouble, undefined)
  server.drop()
  while (camera.trouble === undefined) await camera.next(AbortSignal.timeout(50))
  t.ok(await camera.next(), 'and once more')
  t.equal(warnings().length, 2)
  t.equal(log.lines.filter(line => line.startsWith('info')).length, 2)
})

t.test('nobody there, nobody there who speaks, and a wrong password', async t => {
  const absent = await setUp(t, `rtsp://pilot:secret@127.0.0.1:${await freePort()}/live`)
  await absent.camera.start()
  t.match(absent.camera.trouble, /no pictures over tcp \(.*refused/)
  t.match(absent.warnings(), [/^warn: rtsp:\/\/pilot:\*\*\*@127/])
  t.notMatch(absent.log.lines.join(), /secret/)
  const refusing = await serve(t, { refuse: '401 Unauthorized' })
  const refused = await setUp(t, refusing.url())
  await t.rejects(refused.camera.start(), { name: 'UserError', message: /refuses the user or password/ })
  const missing = await serve(t, { refuse: '404 Not Found' })
  const { camera } = await setUp(t, missing.url())
  await camera.start()
  t.match(camera.trouble, /not found/)
  const silent = await serve(t)
  const waiting = await setUp(t, silent.url(), { stallS: 1 })
  await waiting.camera.start()
  t.match(waiting.camera.trouble, /no pictures over tcp/)
})

t.test('it stops at once, wherever it is', async t => {
  const server = await serve(t)
  const one = film(t, server)
  // Beyond the limit of these tests: only an interrupted read lets them end.
  const { camera } = await setUp(t, server.url(), { stallS: 600 })
  await camera.start()
  one.stop()
  while ((await camera.next(AbortSignal.timeout(300))) !== undefined);
  await camera.stop()
  t.equal(await camera.next(), undefined)
  const waiting = new RtspSource(server.url(), {
    transport: 'tcp',
    timeoutMs: 600_000,
    clock: new RealClock(),
  })
  const abort = new AbortController()
  const opening = waiting.open(abort.signal)
  while (server.playing === 0) await new Promise(resolve => setTimeout(resolve, 10))
  abort.abort()
  await t.rejects(opening, /no pictures/)
})

t.test('a password is not shown', async t => {
  t.equal(withoutPassword('rtsp://admin:p:w@10.0.0.2:554/x'), 'rtsp://admin:***@10.0.0.2:554/x')
  t.equal(withoutPassword('rtsp://10.0.0.2:554/user:x@y'), 'rtsp://10.0.0.2:554/user:x@y')
  t.equal(withoutPassword('rtsp://admin@10.0.0.2/x'), 'rtsp://admin@10.0.0.2/x')
})

t.test("the sender's clock on ours: even spacing, never after arrival, no drift", async t => {
  const jitter = fc.array(fc.double({ min: 0, max: 80, noNaN: true }), { minLength: 300, maxLength: 300 })
  const drift = fc.double({ min: -2e-4, max: 2e-4, noNaN: true })
  fc.assert(
    fc.property(jitter, drift, (delays, ppm) => {
      const clock = new ArrivalClock()
      let arrival = 0
      for (const [i, delay] of delays.entries()) {
        const takenMs = 1e6 + i * 40
        arrival = Math.max(arrival, takenMs + 5 + (i % 10 === 0 ? 0 : delay))
        const captureMs = clock.captureMs((takenMs - 1e6) * (1 + ppm), arrival)
        if (captureMs > arrival + 1e-6) throw new Error(`${i}: after its arrival`)
        if (i > 20 && Math.abs(captureMs - takenMs - 5) > 3)
          throw new Error(`${i}: ${captureMs - takenMs - 5} ms off`)
      }
    }),
    { numRuns: 100 },
  )
  const clock = new ArrivalClock()
  clock.captureMs(0, 1000)
  t.equal(clock.captureMs(40, 1040), 1040)
  t.equal(clock.captureMs(9e6, 1080), 1080, 'a sender that began anew')
  t.equal(clock.captureMs(0, 1120), 1120)
  t.equal(clock.captureMs(undefined, 1160), 1160)
})
