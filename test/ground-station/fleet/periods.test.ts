import { gainWeight, type Need, sharePeriods } from '@kestrel/ground-station'
import fc from 'fast-check'
import t from 'tap'

const need = fc.record({
  costS: fc.double({ min: 0.01, max: 60, noNaN: true }),
  periodS: fc.double({ min: 1, max: 60, noNaN: true }),
  weight: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
})
const needs = fc.array(need, { minLength: 1, maxLength: 20 })
const options = fc.record({
  load: fc.double({ min: 0.1, max: 1, noNaN: true }),
  patience: fc.double({ min: 1, max: 10, noNaN: true }),
})
const loadOf = (all: Need[], periods: number[]) =>
  all.reduce((sum, { costS }, i) => sum + costS / periods[i], 0)

t.test(
  'time that is there is used, none that is not, and nobody gets less than it wants for nothing',
  async t => {
    fc.assert(
      fc.property(needs, options, (all, { load, patience }) => {
        const periods = sharePeriods(all, { load, patience })
        const own = all.map(({ periodS }) => periodS)
        t.equal(periods.length, all.length)
        if (loadOf(all, own) <= load) t.same(periods, own, 'enough for all')
        else {
          const taken = loadOf(all, periods)
          if (taken > load * (1 + 1e-9)) throw new Error(`${taken} planned of ${load}`)
          if (taken < load * (1 - 1e-6)) throw new Error(`only ${taken} used of ${load}`)
        }
        if (periods.some((periodS, i) => periodS < own[i])) throw new Error('shorter than its own')
      }),
    )
  },
)

t.test('nobody waits longer than the patience times what round-robin would give', async t => {
  fc.assert(
    fc.property(needs, options, (all, { load, patience }) => {
      const periods = sharePeriods(all, { load, patience })
      const equal = sharePeriods(
        all.map(each => ({ ...each, weight: 1 })),
        { load, patience: 1 },
      )
      periods.forEach((periodS, i) => {
        if (periodS > patience * equal[i] * (1 + 1e-6))
          throw new Error(`${periodS} s, round-robin ${equal[i]} s`)
      })
    }),
  )
  t.pass()
})

t.test('round-robin: one period for all who want a shorter one; the calm keep theirs', async t => {
  const calm = { costS: 6, periodS: 60, weight: 1 }
  const busy = { costS: 6, periodS: 10, weight: 1 }
  const periods = sharePeriods([busy, calm, busy, busy], { load: 0.9, patience: 3 })
  t.equal(periods[1], 60)
  // 3 · 6 / T + 6 / 60 = 0.9
  for (const i of [0, 2, 3]) t.ok(Math.abs(periods[i] - 22.5) < 1e-6)
})

t.test('gain-aware: no other periods within the load make drones fall behind less', async t => {
  const drift = fc.record({
    costS: fc.double({ min: 1, max: 20, noNaN: true }),
    delta: fc.double({ min: 1e-5, max: 1e-2, noNaN: true }),
    other: fc.double({ min: 0.1, max: 10, noNaN: true }),
  })
  fc.assert(
    fc.property(fc.array(drift, { minLength: 2, maxLength: 8 }), all => {
      const asked = all.map(({ costS, delta }) => ({
        costS,
        periodS: 0.001,
        weight: gainWeight(costS, delta),
      }))
      const periods = sharePeriods(asked, { load: 0.9, patience: 1e6 })
      const behind = (given: number[]) => all.reduce((sum, { delta }, i) => sum + (delta * given[i]) / 2, 0)
      // Any other split of the same time.
      const total = all.reduce((sum, { other }) => sum + other, 0)
      const others = all.map(({ costS, other }) => costS / ((0.9 * other) / total))
      if (behind(periods) > behind(others) * (1 + 1e-6)) throw new Error('another split is better')
    }),
  )
  t.pass()
})
