import { createRng, sampleWithoutReplacement, weightedSampleWithoutReplacement } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

t.test('the same seed gives the same stream, another seed another', async t => {
  const draw = (seed: string | number) => Array.from({ length: 8 }, createRng(seed).float)
  t.same(draw(7), draw(7))
  t.notSame(draw(7), draw(8))
  t.notSame(draw('7/a'), draw('7/b'))
})

t.test('floats are uniform and normals are normal, within four standard errors', async t => {
  const rng = createRng('moments')
  const n = 20000
  const floats = Array.from({ length: n }, rng.float)
  const normals = Array.from({ length: n }, rng.normal)
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / n
  t.ok(floats.every(value => value >= 0 && value < 1))
  t.ok(Math.abs(mean(floats) - 0.5) < (4 * Math.sqrt(1 / 12)) / Math.sqrt(n))
  t.ok(Math.abs(mean(normals)) < 4 / Math.sqrt(n))
  t.ok(Math.abs(mean(normals.map(value => value * value)) - 1) < (4 * Math.SQRT2) / Math.sqrt(n))
})

t.test(
  'samples without replacement are ascending, distinct, within range, and as many as asked',
  async () => {
    fc.assert(
      fc.property(fc.nat(500), fc.nat(600), fc.integer(), (n, count, seed) => {
        const sample = sampleWithoutReplacement(n, count, createRng(seed))
        if (sample.length !== Math.min(n, count)) return false
        return sample.every((value, i) => value < n && (i === 0 || value > sample[i - 1]))
      }),
    )
  },
)

t.test(
  'weighted samples are as likely as draws one after another, in proportion to what is left',
  async t => {
    const weights = [4, 1, 3, 2]
    const rng = createRng('weights')
    const n = 20000
    const found = [0, 0, 0, 0]
    for (let k = 0; k < n; k++) {
      const sample = weightedSampleWithoutReplacement(weights, 2, rng)
      if (sample.length !== 2 || sample[0] >= sample[1]) t.fail(`drew ${sample}`)
      for (const i of sample) found[i]++
    }
    weights.forEach((weight, i) => {
      // First, or second after one of the others.
      const later = weights.map((other, j) => (j === i ? 0 : ((other / 10) * weight) / (10 - other)))
      const expected = weight / 10 + later.reduce((sum, value) => sum + value, 0)
      const error = Math.sqrt((expected * (1 - expected)) / n)
      t.ok(Math.abs(found[i] / n - expected) < 4 * error, `${i}: ${found[i] / n}, expected ${expected}`)
    })
    t.same([...weightedSampleWithoutReplacement([1, 1e-300, 1], 9, rng)], [0, 1, 2])
    t.same([...weightedSampleWithoutReplacement([], 3, rng)], [])
  },
)
