import { Condenser } from '@kestrel/ground-station/review'
import fc from 'fast-check'
import { test } from 'tap'

const samples = fc
  .array(fc.record({ step: fc.nat(50), value: fc.double({ min: -1e6, max: 1e6, noNaN: true }) }), {
    maxLength: 3000,
  })
  .map(steps => {
    let ms = 1e12
    return steps.map(({ step, value }) => ({ ms: (ms += 1 + step), value }))
  })

test('A thinned series has no more points than asked for, keeps extremes, ends and order, and invents nothing', async () => {
  fc.assert(
    fc.property(samples, fc.integer({ min: 4, max: 500 }), (series, maxPoints) => {
      const condenser = new Condenser(maxPoints)
      for (const { ms, value } of series) condenser.add(ms, value)
      const { timesMs, values } = condenser.columns()
      const known = new Map(series.map(({ ms, value }) => [ms, value]))
      const ascending = timesMs.every((ms, i) => i === 0 || ms > timesMs[i - 1])
      const real = timesMs.every((ms, i) => known.get(ms) === values[i])
      if (timesMs.length > maxPoints || !ascending || !real) return false
      if (condenser.exact !== series.length <= 2 * Math.floor((maxPoints - 2) / 2)) return false
      if (condenser.exact && timesMs.length !== series.length) return false
      if (series.length === 0) return timesMs.length === 0
      const all = series.map(({ value }) => value)
      return (
        timesMs[0] === series[0].ms &&
        timesMs.at(-1) === series.at(-1)!.ms &&
        Math.min(...values) === Math.min(...all) &&
        Math.max(...values) === Math.max(...all)
      )
    }),
  )
})

test('A spike of one sample among a million survives', async t => {
  const condenser = new Condenser(300)
  for (let i = 0; i < 1_000_000; i++) condenser.add(i, i === 654_321 ? 99 : Math.sin(i / 1000))
  const { timesMs, values } = condenser.columns()
  t.ok(timesMs.length <= 300)
  t.equal(values[timesMs.indexOf(654_321)], 99)
  t.equal(condenser.count, 1_000_000)
  t.notOk(condenser.exact)
})

test('Values that are not finite are gaps, not points', async t => {
  const condenser = new Condenser(10)
  condenser.add(1, Number.NaN)
  condenser.add(2, 5)
  condenser.add(3, Number.POSITIVE_INFINITY)
  t.same(condenser.columns(), { timesMs: [2], values: [5] })
  t.throws(() => new Condenser(3), /at least 4 points/)
})
