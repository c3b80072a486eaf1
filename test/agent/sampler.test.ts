import { Sampler } from '@kestrel/agent'
import fc from 'fast-check'
import t from 'tap'

/** Frame times from intervals, ms. */
function timesOf(intervals: number[], startMs = 0): number[] {
  const times = [startMs]
  for (const interval of intervals) times.push(times[times.length - 1] + interval)
  return times
}

const rate = fc.double({ min: 0.05, max: 30, noNaN: true })

t.test('chooses r frames a second, spaced, over any camera that is fast enough', async () => {
  fc.assert(
    fc.property(
      rate,
      fc.array(fc.double({ min: 0.001, max: 1, noNaN: true }), { minLength: 1, maxLength: 400 }),
      (fps, shares) => {
        const period = 1000 / fps
        const intervals = shares.map(share => share * period)
        const times = timesOf(intervals)
        const sampler = new Sampler({ fps })
        const chosen = times.filter(time => sampler.offer(time))
        const duration = times[times.length - 1] - times[0]
        const expected = (duration * fps) / 1000 + 1
        if (Math.abs(chosen.length - expected) > 1 + 1e-6) return false
        const frame = Math.max(...intervals)
        return chosen.every((time, i) => i === 0 || time - chosen[i - 1] >= period - frame - 1e-6)
      },
    ),
  )
})

t.test('chooses every frame of a camera that jitters about its own rate', async t => {
  const sampler = new Sampler({ fps: 10 })
  const times = Array.from({ length: 200 }, (_, i) => i * 100 + ((i * 7) % 5) - 2)
  t.equal(times.filter(time => sampler.offer(time)).length, 200)
})

t.test('never bursts: not after holes, not on changed rates, not when the clock is set', async () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          interval: fc.oneof(
            fc.double({ min: 1, max: 200, noNaN: true }),
            fc.double({ min: 200, max: 60_000, noNaN: true }),
          ),
          step: fc.option(fc.double({ min: -1e7, max: 1e7, noNaN: true }), { freq: 20, nil: undefined }),
          rate: fc.option(rate, { freq: 10, nil: undefined }),
        }),
        { maxLength: 300 },
      ),
      events => {
        const sampler = new Sampler({ fps: 1 })
        let fps = 1
        let true_ = 0
        let clock = 0
        let last = Number.NEGATIVE_INFINITY
        let fastest = 1
        let largest = 0
        for (const event of events) {
          true_ += event.interval
          clock += event.interval + (event.step ?? 0)
          largest = Math.max(largest, event.interval)
          if (event.rate !== undefined) {
            fps = event.rate
            sampler.setRate(fps)
          }
          fastest = Math.max(fps, fastest)
          // A step forward looks like a hole: one frame may come early for it, no more.
          const stepped = event.step !== undefined
          if (sampler.offer(clock)) {
            if (!stepped && true_ - last < 1000 / fastest - 2 * largest - 1e-3) return false
            last = stepped ? Number.NEGATIVE_INFINITY : true_
            fastest = fps
          }
        }
        return true
      },
    ),
  )
})

t.test('a hole costs the moments within it and nothing else', async t => {
  const sampler = new Sampler({ fps: 1 })
  const chosen = [0, 500, 1000, 4990, 5000, 5500, 5990, 6500].filter(time => sampler.offer(time))
  t.same(chosen, [0, 1000, 4990, 5990])
})

t.test('a clock set back by hours neither stops nor floods the sampling', async t => {
  const sampler = new Sampler({ fps: 1 })
  const before = Array.from({ length: 100 }, (_, i) => 1e9 + i * 100).filter(time => sampler.offer(time))
  const after = Array.from({ length: 100 }, (_, i) => 5e8 + i * 100).filter(time => sampler.offer(time))
  t.equal(before.length, 10)
  t.ok(after.length >= 9 && after.length <= 10, `${after.length} chosen in 10 s`)
})

t.test('the rate changes between two frames and is frames/s', async t => {
  const sampler = new Sampler({ fps: 1 })
  const times = Array.from({ length: 300 }, (_, i) => (i * 1000) / 30)
  const slow = times.slice(0, 150).filter(time => sampler.offer(time)).length
  sampler.setRate(6)
  const fast = times.slice(150).filter(time => sampler.offer(time)).length
  t.equal(slow, 5)
  t.ok(Math.abs(fast - 30) <= 1, `${fast} in 5 s`)
  t.equal(Math.round(sampler.fps), 6)
})

t.test('a rate that is no rate is refused', async t => {
  for (const fps of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => new Sampler({ fps }), RangeError)
    t.throws(() => new Sampler({ fps: 1 }).setRate(fps), RangeError)
  }
})
