import { type Camera, LiveCamera, type LivePicture, type LiveSource, type LiveStream } from '@kestrel/agent'
import { UserError, VirtualClock } from '@kestrel/runtime'
import t from 'tap'
import { plain } from '../../link/pictures.js'
import { keptLog } from '../support.js'

/** A stream whose pictures come when the test says. */
class TestStream implements LiveStream {
  readonly description = 'test (8x8)'
  readonly width = 8
  readonly height = 8
  readonly fps = 10
  lost = 0
  closed = false
  decoded = 0
  discarded = 0
  #waiting: { resolve: (picture: LivePicture) => void; reject: (error: Error) => void } | undefined

  read(): Promise<LivePicture> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  async give(captureMs: number, options: { damaged?: boolean } = {}): Promise<void> {
    this.#waiting?.resolve({
      captureMs,
      decode: async () => {
        this.decoded += 1
        if (options.damaged) throw new Error('no JPEG')
        return plain(8, 8, [captureMs % 256, 0, 0])
      },
      discard: () => {
        this.discarded += 1
      },
    })
    await settle()
  }

  async break(reason: string): Promise<void> {
    this.#waiting?.reject(new Error(reason))
    await settle()
  }

  async close(): Promise<void> {
    this.closed = true
    this.#waiting?.reject(new Error('closed'))
  }
}

/** Everything that can happen without time passing. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise(resolve => setImmediate(resolve))
}

/** A source that opens what the test put in line: streams, or errors; the last one over and over. */
function testSource(line: (TestStream | Error)[]): LiveSource & { opened: number } {
  const source = {
    name: '/dev/test',
    opened: 0,
    async open() {
      const next = line[Math.min(source.opened, line.length - 1)]
      source.opened += 1
      if (next instanceof Error) throw next
      return next
    },
  }
  return source
}

async function setUp(line: (TestStream | Error)[]) {
  const clock = new VirtualClock(1000)
  const log = keptLog()
  const source = testSource(line)
  const camera = new LiveCamera(source, { stallMs: 2000, clock, log })
  const advance = async (ms: number) => {
    await clock.advanceTo(clock.nowMs() + ms)
    await settle()
  }
  return { clock, log, source, camera, advance }
}

const said = (log: { lines: string[] }) => log.lines.filter(line => !line.startsWith('debug'))

t.test('the newest picture is given, older ones are dropped undecoded and counted', async t => {
  const stream = new TestStream()
  const { camera } = await setUp([stream])
  await t.rejects(camera.next(), /not started/)
  await camera.start()
  t.match(camera, { description: 'test (8x8)', width: 8, height: 8, fps: 10, trouble: undefined })
  const waiting = camera.next()
  await stream.give(1010)
  t.match(await waiting, { id: 0, captureMs: 1010, sourceIndex: 0, image: { width: 8 } })
  for (const ms of [1020, 1030, 1040]) await stream.give(ms)
  t.match(await camera.next(), { id: 3, captureMs: 1040 })
  t.equal(camera.dropped, 2)
  t.equal(stream.decoded, 2, 'what nobody looks at is not decoded')
  t.equal(stream.discarded, 2)
  stream.lost = 5
  t.equal(camera.dropped, 7, 'what the driver lost counts as well')
  const controller = new AbortController()
  const given = camera.next(controller.signal)
  controller.abort()
  t.equal(await given, undefined)
  const last = camera.next()
  await camera.stop()
  t.equal(await last, undefined)
  t.equal(await camera.next(), undefined)
  t.ok(stream.closed)
})

t.test('several who wait get a picture each', async t => {
  const stream = new TestStream()
  const { camera } = await setUp([stream])
  await camera.start()
  const first = camera.next()
  const second = camera.next()
  await stream.give(1)
  await stream.give(2)
  const ids = (await Promise.all([first, second])).map(frame => frame?.id)
  t.same(ids.sort(), [0, 1])
  await camera.stop()
})

t.test('unplugged: said once, waited for with growing pauses, and on it goes with rising ids', async t => {
  const streams = [new TestStream(), new TestStream()]
  const away = new Error('it was unplugged')
  const line = [streams[0], away, away, away, away, streams[1]]
  const { camera, log, source, advance, clock } = await setUp(line)
  await camera.start()
  await streams[0].give(1000)
  t.match(await camera.next(), { id: 0 })
  await streams[0].give(1100)
  await streams[0].break('it was unplugged')
  t.ok(streams[0].closed)
  t.equal(camera.trouble, 'it was unplugged')
  t.equal(camera.dropped, 1, 'a picture that was left is gone with its camera')
  t.same(said(log), ['warn: /dev/test: it was unplugged. Waiting for it'])
  const attempts: number[] = []
  const beganMs = clock.nowMs()
  for (let before = source.opened; source.opened < line.length; ) {
    await advance(10)
    if (source.opened > before) {
      before = source.opened
      attempts.push(clock.nowMs())
    }
    if (clock.nowMs() - beganMs > 60_000) throw new Error('it is not tried again')
  }
  const pauses = attempts.map((ms, i) => ms - (attempts[i - 1] ?? beganMs))
  t.ok(pauses[0] >= 240 && pauses[0] <= 510, `${pauses}`)
  t.ok(Math.max(...pauses) > 1000 && Math.max(...pauses) <= 5010, `${pauses}`)
  t.equal(said(log).length, 1, 'once')
  t.equal(camera.trouble, 'it was unplugged', 'until there is a picture')
  const next = camera.next()
  await streams[1].give(9000)
  t.match(await next, { id: 2, captureMs: 9000 })
  t.equal(camera.trouble, undefined)
  t.match(said(log)[1], /^info: test \(8x8\) gives pictures after \d+\.\d s$/)
  await camera.stop()
})

t.test('a camera that stalls is closed and opened again', async t => {
  const streams = [new TestStream(), new TestStream()]
  const { camera, log, advance } = await setUp(streams)
  await camera.start()
  await streams[0].give(1000)
  await advance(1900)
  t.equal(camera.trouble, undefined)
  await streams[0].give(2900)
  await advance(1990)
  t.equal(camera.trouble, undefined, 'each picture begins the time anew')
  await advance(20)
  t.equal(camera.trouble, 'no picture for 2 s')
  t.ok(streams[0].closed)
  await advance(1000)
  const next = camera.next()
  await streams[1].give(6000)
  t.ok(await next)
  t.match(said(log), [/no picture for 2 s/, /gives pictures after/])
  await camera.stop()
})

t.test('one that is away at the start is waited for; one that makes no sense is an error', async t => {
  const stream = new TestStream()
  const { camera, advance, log } = await setUp([new Error('not there'), stream])
  await camera.start()
  t.match(camera, {
    width: 0,
    height: 0,
    fps: 0,
    description: '/dev/test (not there yet)',
    trouble: 'not there',
  })
  await advance(600)
  const next = camera.next()
  await stream.give(2000)
  t.ok(await next)
  t.match(camera, { width: 8, fps: 10 })
  t.equal(said(log).length, 2)
  await camera.stop()
  const wrong = await setUp([new UserError('no camera')])
  await t.rejects(wrong.camera.start(), { name: 'UserError', message: 'no camera' })
})

t.test('in flight nothing ends it, not even what would be an error at the start', async t => {
  const streams = [new TestStream(), new TestStream()]
  const { camera, advance } = await setUp([streams[0], new UserError('another mode'), streams[1]])
  await camera.start()
  await streams[0].break('gone')
  await advance(600)
  t.equal(camera.trouble, 'another mode')
  await advance(2000)
  const next = camera.next()
  await streams[1].give(5000)
  t.ok(await next)
  await camera.stop()
})

t.test('damaged pictures are passed over; nothing but damage opens the camera again', async t => {
  const streams = [new TestStream(), new TestStream()]
  const { camera, advance, log } = await setUp(streams)
  await camera.start()
  const take = taker(camera)
  await streams[0].give(1, { damaged: true })
  await streams[0].give(2)
  t.same(take.ids, [1])
  t.equal(camera.dropped, 1)
  for (let i = 0; i < 30; i++) await streams[0].give(10 + i, { damaged: true })
  t.match(camera.trouble, /30 damaged pictures in a row \(no JPEG\)/)
  t.ok(streams[0].closed)
  await advance(600)
  await streams[1].give(100)
  t.equal(take.ids.length, 2)
  t.equal(said(log).length, 2)
  await camera.stop()
})

/** Takes pictures as long as there are any. */
function taker(camera: Camera): { ids: number[] } {
  const ids: number[] = []
  void (async () => {
    for (let frame = await camera.next(); frame !== undefined; frame = await camera.next()) ids.push(frame.id)
  })()
  return { ids }
}

t.test('stopped while it is away', async t => {
  const { camera } = await setUp([new Error('not there')])
  await camera.start()
  const next = camera.next()
  await camera.stop()
  t.equal(await next, undefined)
})
