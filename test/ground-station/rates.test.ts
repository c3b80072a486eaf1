import {
  nextSamplingRate,
  nextTrainingRate,
  sessionOptions,
  type TrainingRate,
} from '@kestrel/ground-station'
import fc from 'fast-check'
import t from 'tap'

const { asr, atr } = sessionOptions()

t.test('ASR follows r ← clip(r − 0.2·tanh(20·(φ − 0.6)), 0.1, 1)', async t => {
  // Worked by hand: tanh(0) = 0; tanh(20·0.4) ≈ 1; tanh(20·0.05) = tanh(1) = 0.761594.
  t.equal(nextSamplingRate(0.5, 0.6, asr), 0.5)
  t.ok(Math.abs(nextSamplingRate(0.5, 1, asr) - 0.3) < 1e-6)
  t.ok(Math.abs(nextSamplingRate(0.5, 0.65, asr) - (0.5 - 0.2 * 0.761594)) < 1e-6)
  t.equal(nextSamplingRate(0.95, 0, asr), 1, 'at most 1 frame/s')
  t.equal(nextSamplingRate(0.15, 1, asr), 0.1, 'at least 0.1 frames/s')
  t.equal(nextSamplingRate(0.5, undefined, asr), 0.5, 'no two frames to compare: r stays')
  t.equal(nextSamplingRate(0.5, 1, { ...asr, enabled: false, fps: 0.7 }), 0.7)
})

t.test(
  'ASR is a rate in frames/s: within its bounds, falling as labels agree more, never off by more than 0.2',
  async () => {
    const rate = fc.double({ min: 0.1, max: 1, noNaN: true })
    const phi = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(rate, phi, phi, (r, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)]
        const [more, less] = [nextSamplingRate(r, low, asr), nextSamplingRate(r, high, asr)]
        if (less > more) throw new Error('more agreement gave more samples')
        if (less < 0.1 || more > 1) throw new Error('out of bounds')
        if (Math.abs(more - r) > 0.2 + 1e-12) throw new Error('too large a change')
      }),
    )
  },
)

t.test('ATR waits for five rates, slows by 2 s a phase to at most 6 × the base, and returns', async t => {
  let state: TrainingRate = { periodS: 10, rates: [] }
  const periods = (rate: number, phases: number) =>
    Array.from({ length: phases }, () => (state = nextTrainingRate(state, rate, 10, atr)).periodS)
  t.same(periods(0.1, 4), [10, 10, 10, 10], 'four rates are no window')
  t.same(periods(0.1, 3), [12, 14, 16], 'the fifth fills it')
  t.same(periods(0.1, 30).slice(-2), [60, 60], 'at most 6 × the base')
  t.equal(state.rates.length, 5)
  // Means of the window: 0.28, 0.46 …
  t.same(periods(1, 2), [60, 10], 'in between it stays; above 0.35 it is the base again')
  t.same(periods(0.3, 6).at(-1), 10, '0.3 changes nothing')
})

t.test('ATR: the window holds the last five rates, whatever came before', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.1, max: 1, noNaN: true }), { minLength: 1, maxLength: 60 }),
      rates => {
        let state: TrainingRate = { periodS: 10, rates: [] }
        let expected = 10
        rates.forEach((rate, i) => {
          state = nextTrainingRate(state, rate, 10, atr)
          const window = rates.slice(Math.max(0, i - 4), i + 1)
          const mean = window.reduce((sum, r) => sum + r, 0) / window.length
          if (window.length === 5 && mean < 0.25) expected = Math.min(60, expected + 2)
          if (window.length === 5 && mean > 0.35) expected = 10
          if (state.periodS !== expected)
            throw new Error(`phase ${i}: ${state.periodS} s instead of ${expected} s`)
          if (state.rates.join() !== window.join())
            throw new Error(`phase ${i}: the window holds ${state.rates}`)
        })
      },
    ),
  )
})

t.test('ATR that is off stays at the base', async t => {
  const off = { ...atr, enabled: false }
  t.equal(nextTrainingRate({ periodS: 10, rates: [0.1, 0.1, 0.1, 0.1] }, 0.1, 10, off).periodS, 10)
})
