import { createRng, sampleWithoutReplacement } from '@kestrel/runtime'
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
