import { argmaxUpsampled } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

/** Bilinear up-sampling (half_pixel) pixel by pixel, class by class, then the lowest class among the highest scores. */
function naive(logits: Float32Array, classes: number, h: number, w: number, height: number, width: number) {
  const at = (i: number, from: number, to: number) =>
    Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1)
  const scores = (y: number, x: number) => {
    const sy = at(y, h, height)
    const sx = at(x, w, width)
    const [y0, x0] = [Math.floor(sy), Math.floor(sx)]
    const [y1, x1] = [Math.min(y0 + 1, h - 1), Math.min(x0 + 1, w - 1)]
    const [v, u] = [sy - y0, sx - x0]
    return Array.from({ length: classes }, (_, k) => {
      const value = (row: number, column: number) => logits[k * h * w + row * w + column]
      return (
        (1 - u) * ((1 - v) * value(y0, x0) + v * value(y1, x0)) +
        u * ((1 - v) * value(y0, x1) + v * value(y1, x1))
      )
    })
  }
  return { scores, label: (y: number, x: number) => scores(y, x).indexOf(Math.max(...scores(y, x))) }
}

const side = fc.integer({ min: 1, max: 5 })

t.test(
  'whole scores at powers of two, where arithmetic is exact: equal to the naive arg-max, ties included',
  async t => {
    fc.assert(
      fc.property(
        side,
        side,
        fc.constantFrom(1, 2, 4, 8),
        fc.integer({ min: 1, max: 6 }),
        fc.integer(),
        (h, w, scale, classes, seed) => {
          const rng = createRng(seed)
          const logits = Float32Array.from({ length: classes * h * w }, () => rng.int(4) - 2)
          const oracle = naive(logits, classes, h, w, h * scale, w * scale)
          const labels = argmaxUpsampled(logits, classes, h, w, h * scale, w * scale)
          const expected = Uint8Array.from(labels, (_, i) =>
            oracle.label(Math.floor(i / (w * scale)), i % (w * scale)),
          )
          t.same(labels, expected)
        },
      ),
      { numRuns: 300 },
    )
  },
)

t.test('any scores and sizes, also smaller ones: the class has the highest score', async t => {
  fc.assert(
    fc.property(
      side,
      side,
      fc.integer({ min: 1, max: 23 }),
      fc.integer({ min: 1, max: 23 }),
      fc.integer(),
      (h, w, height, width, seed) => {
        const rng = createRng(seed)
        const classes = 1 + rng.int(7)
        const logits = Float32Array.from({ length: classes * h * w }, () => 5 * rng.normal())
        const oracle = naive(logits, classes, h, w, height, width)
        argmaxUpsampled(logits, classes, h, w, height, width).forEach((label, i) => {
          const scores = oracle.scores(Math.floor(i / width), i % width)
          t.ok(scores[label] >= Math.max(...scores) - 1e-6)
        })
      },
    ),
    { numRuns: 200 },
  )
})

t.test('scores that are not numbers do not harm', async t => {
  const labels = argmaxUpsampled(new Float32Array(3 * 4).fill(Number.NaN), 3, 2, 2, 8, 8)
  t.ok(labels.every(label => label < 3))
  t.throws(() => argmaxUpsampled(new Float32Array(5), 3, 2, 2, 8, 8), RangeError)
})
