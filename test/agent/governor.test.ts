import { Governor, outboxAllowance, type Strain } from '@kestrel/agent'
import fc from 'fast-check'
import t from 'tap'

const over: Strain = { over: ['90 °C'], calm: false }
const near: Strain = { over: [], calm: false }
const calm: Strain = { over: [], calm: true }
const rates = (labelledFps: number, cameraFps = 30) => ({ labelledFps, cameraFps })

t.test('halves at once and again, comes back in small steps', async t => {
  const governor = new Governor({ minFps: 2 })
  const seen: [number, number][] = []
  let nowMs = 0
  const pass = (strain: Strain, seconds: number) => {
    for (let i = 0; i < seconds; i++, nowMs += 1000) {
      const before = governor.limitFps
      const limit = governor.update(nowMs, strain, rates(30))
      if (limit !== before) seen.push([nowMs / 1000, Number(limit.toFixed(2))])
    }
  }
  pass(calm, 5)
  t.same(seen, [], 'no reason, no limit')
  pass(over, 20)
  t.same(
    seen.splice(0),
    [
      [5, 15],
      [8, 7.5],
      [11, 3.75],
      [14, 2],
    ],
    'each step has 3 s to show its effect; never below the least',
  )
  pass(near, 100)
  t.same(seen, [], 'near a ceiling nothing changes')
  pass(calm, 100)
  t.same(seen.splice(0), [
    [135, 2.83],
    [145, 4],
    [155, 5.66],
    [165, 8],
    [175, 11.31],
    [185, 16],
    [195, 22.63],
    [205, Infinity],
  ])
})

t.test('a student slower than the camera is limited from its own rate', async t => {
  const governor = new Governor({ minFps: 2 })
  t.equal(governor.update(0, over, rates(12)), 6)
  const away = new Governor({ minFps: 2 })
  t.equal(away.update(0, over, rates(0)), 15, 'no frame of late: from the camera')
  const slow = new Governor({ minFps: 2 })
  t.equal(slow.update(0, over, rates(1, 1)), 1, 'a camera slower than the least keeps its rate')
  const unknown = new Governor({ minFps: 2 })
  t.equal(unknown.update(0, over, rates(0, 0)), 30, 'a camera that does not say')
})

t.test('frames that came back too early come back more patiently', async t => {
  const governor = new Governor({ minFps: 2 })
  const raised: number[] = []
  // The board bears 20 frames/s and no more.
  for (let second = 0; second < 600; second++) {
    const before = governor.limitFps
    const fps = Math.min(30, before)
    const limit = governor.update(1000 * second, fps > 20 ? over : calm, rates(fps))
    if (limit > before) raised.push(second)
  }
  const waits = raised.slice(1).map((second, i) => second - raised[i])
  t.equal(raised[0], 11, 'first it tries after 10 s of calm')
  t.equal(waits[0], 22, 'then after 20')
  t.ok(
    waits.slice(4).every(wait => wait >= 38),
    `and then it waits 40: ${waits}`,
  )
})

t.test('a board that heats up with the frames settles below its ceiling, with whatever inertia', async () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.5, max: 4, noNaN: true }),
      fc.double({ min: 3, max: 60, noNaN: true }),
      fc.integer({ min: 5, max: 60 }),
      (heatPerFps, inertiaS, cameraFps) => {
        const governor = new Governor({ minFps: 2 })
        const ceiling = 85
        let celsius = 45
        let tooHot = 0
        for (let second = 0; second < 1800; second++) {
          const fps = Math.min(cameraFps, governor.limitFps)
          celsius += (40 + heatPerFps * fps - celsius) / inertiaS
          const strain = celsius >= ceiling ? over : celsius < ceiling - 5 ? calm : near
          const limit = governor.update(1000 * second, strain, rates(fps, cameraFps))
          if (limit < Math.min(2, cameraFps)) return false
          if (second >= 600 && celsius > ceiling) tooHot += 1
          if (strain === over && limit > governor.limitFps) return false
        }
        // It tries now and then whether the board bears more, and no more than that.
        return tooHot < 0.25 * 1200
      },
    ),
    { numRuns: 100, seed: 1 },
  )
})

t.test('never more frames while there is strain, never fewer while there is none', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(over, near, calm), fc.integer({ min: 1, max: 20_000 })), {
        maxLength: 200,
      }),
      steps => {
        const governor = new Governor({ minFps: 2 })
        let nowMs = 0
        return steps.every(([strain, ms]) => {
          nowMs += ms
          const before = governor.limitFps
          const limit = governor.update(nowMs, strain, rates(Math.min(30, before)))
          if (!(limit >= 2)) return false
          if (strain === over) return limit <= before
          return strain === near ? limit === before : limit >= before
        })
      },
    ),
    { seed: 1 },
  )
})

t.test('the outbox grows into the quota and into what is free, and gives way', async t => {
  const disk = { totalBytes: 1000, freeBytes: 300, stateBytes: 100 }
  const bounds = { outboxBytes: 60, quotaBytes: 200, reserveBytes: 50 }
  t.equal(outboxAllowance(disk, bounds), 160, 'the quota, less what is no outbox')
  t.equal(outboxAllowance({ ...disk, freeBytes: 60 }, bounds), 70, 'the disk, less its reserve')
  t.equal(outboxAllowance({ ...disk, freeBytes: 20 }, bounds), 30, 'others filled the disk: it gives way')
  t.equal(outboxAllowance({ ...disk, freeBytes: 0, stateBytes: 500 }, bounds), 0)
})
