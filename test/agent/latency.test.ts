import { type Frame, LatencyWindow, Pipeline, percentile } from '@kestrel/agent'
import { VirtualClock } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { listCamera, testImage, tinySize } from './support.js'

t.test('a percentile is the least value that so large a share does not exceed', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1 }),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      (values, share) => {
        const value = percentile(
          values.slice().sort((a, b) => a - b),
          share,
        )
        const atMost = values.filter(other => other <= value).length
        const below = values.filter(other => other < value).length
        return (
          values.includes(value) &&
          atMost >= share * values.length - 1e-9 &&
          below < share * values.length + 1e-9
        )
      },
    ),
  )
})

t.test('speed over a trailing window', async t => {
  const window = new LatencyWindow({ spanMs: 1000 })
  t.same(window.summary(0), { fps: 0, p50Ms: 0, p99Ms: 0 })
  for (let i = 0; i <= 100; i++) window.add(i * 50, i < 90 ? 1000 : i)
  const { fps, p50Ms, p99Ms } = window.summary(5000)
  t.equal(Math.round(fps), 20)
  t.equal(p50Ms, 99)
  t.equal(p99Ms, 1000)
  t.equal(window.summary(60_000).fps, 0, 'old frames are forgotten')
})

const frames = (count: number): Frame[] =>
  Array.from({ length: count }, (_, i) => ({
    id: i,
    captureMs: 100 * i,
    sourceIndex: i,
    image: testImage(i, 48, 32),
  }))

function labeller(onLabel?: () => Promise<void>) {
  const seen: { width: number; height: number }[] = []
  return {
    seen,
    async label({ width, height }: { width: number; height: number }) {
      seen.push({ width, height })
      await onLabel?.()
      return { width, height, data: new Uint8Array(width * height) }
    },
  }
}

t.test(
  'the pipeline scales each frame to the student, shows it to the sampler and ends with the source',
  async t => {
    const clock = new VirtualClock(1000)
    const { seen, label } = labeller()
    const offered: number[] = []
    const latencies: number[] = []
    const pipeline = new Pipeline({
      camera: listCamera(frames(5)),
      labeller: { label },
      ...tinySize,
      clock,
      pace: 'real-time',
      onFrame: ({ id }) => offered.push(id),
      onLabels: (_, labels, latencyMs) => {
        t.equal(labels.width, tinySize.width)
        latencies.push(latencyMs)
      },
    })
    await pipeline.run()
    t.same(offered, [0, 1, 2, 3, 4])
    t.same(seen, Array(5).fill(tinySize))
    t.same(latencies, [1000, 900, 800, 700, 600], 'from capture to labels')
    t.equal(pipeline.frames, 5)
  },
)

t.test(
  'stop ends the pipeline after the frame in progress; a student that fails ends it with its error',
  async t => {
    const options = { ...tinySize, clock: new VirtualClock(), pace: 'as-fast-as-possible' } as const
    const first = labeller()
    const endless = { ...listCamera(frames(1)), next: () => tick().then(() => frames(1)[0]) }
    const pipeline = new Pipeline({ camera: endless, labeller: first, ...options })
    const running = pipeline.run()
    await tick()
    await pipeline.stop()
    await running
    const count = first.seen.length
    await tick()
    t.equal(first.seen.length, count)
    const broken = labeller(() => Promise.reject(new Error('the thread ended')))
    const failing = new Pipeline({ camera: listCamera(frames(2)), labeller: broken, ...options })
    await t.rejects(failing.run(), /the thread ended/)
    await failing.stop()
  },
)

function tick(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
