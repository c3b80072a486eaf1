import { coordinateCount, largestMagnitudes, selectCoordinates, strategies } from '@kestrel/ground-station'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

/** The same by sorting: magnitude descending, then index ascending. */
function bySorting(values: Float32Array, count: number): number[] {
  return Array.from(values.keys())
    .sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b)
    .slice(0, count)
    .sort((a, b) => a - b)
}

t.test('the largest magnitudes are those that sorting finds, ties by the lower index', async () => {
  const values = fc.oneof(
    fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 300 }),
    // Few different values: many ties.
    fc.array(fc.constantFrom(0, -0, 1, -1, 1e-30, -2.5, 1e-45), { minLength: 1, maxLength: 300 }),
  )
  fc.assert(
    fc.property(values, fc.nat(), (list, wish) => {
      const vector = Float32Array.from(list)
      const count = 1 + (wish % vector.length)
      const found = Array.from(largestMagnitudes(vector, count))
      const expected = bySorting(vector, count)
      if (found.join() !== expected.join()) throw new Error(`${found} instead of ${expected}`)
    }),
    { numRuns: 500 },
  )
})

t.test('a vector of 2.1 M Adam steps', async t => {
  const rng = createRng(7)
  const step = Float32Array.from({ length: 2_100_000 }, () => 1e-3 * rng.normal())
  const chosen = largestMagnitudes(step, 105_000)
  t.equal(chosen.length, 105_000)
  const smallest = chosen.reduce((least, i) => Math.min(least, Math.abs(step[i])), Number.POSITIVE_INFINITY)
  const mask = new Uint8Array(step.length)
  for (const i of chosen) mask[i] = 1
  t.ok(step.every((u, i) => mask[i] === 1 || Math.abs(u) <= smallest))
})

t.test('γ·P is rounded up, and decimal fractions mean what they say', async t => {
  t.equal(coordinateCount(100, 0.05), 5)
  t.equal(coordinateCount(101, 0.05), 6)
  t.equal(coordinateCount(100, 0.07), 7, '0.07·100 is 7.000000000000001 in binary')
  t.equal(coordinateCount(10, 1e-9), 1, 'at least one')
  t.equal(coordinateCount(10, 1), 10)
})

t.test('every strategy gives ⌈γP⌉ coordinates, strictly ascending and in range', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...strategies),
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 100 }),
      fc.boolean(),
      (strategy, parameterCount, percent, first) => {
        const rng = createRng(`${parameterCount}/${percent}`)
        const step = first ? undefined : Float32Array.from({ length: parameterCount }, () => rng.normal())
        const chosen = selectCoordinates({ strategy, parameterCount, fraction: percent / 100, step, rng })
        const expected = strategy === 'full' ? parameterCount : Math.ceil((percent * parameterCount) / 100)
        if (chosen.length !== expected) throw new Error(`${chosen.length} coordinates instead of ${expected}`)
        chosen.forEach((index, i) => {
          if (index >= parameterCount || (i > 0 && index <= chosen[i - 1]))
            throw new Error(`out of order: ${chosen}`)
        })
      },
    ),
  )
})

t.test('where the strategies look', async t => {
  const pick = (strategy: (typeof strategies)[number], step?: Float32Array, seed = 1) =>
    Array.from(selectCoordinates({ strategy, parameterCount: 10, fraction: 0.3, step, rng: createRng(seed) }))
  t.same(pick('first-layers'), [0, 1, 2])
  t.same(pick('last-layers'), [7, 8, 9])
  t.same(pick('first-last'), [0, 1, 9])
  t.same(pick('full'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  const step = Float32Array.of(0, -9, 1, 2, 8, 0, 0, -7, 3, 0)
  t.same(pick('gradient-guided', step), [1, 4, 7])
  t.same(pick('gradient-guided'), pick('random'), 'random in the first phase')
  t.notSame(pick('random', undefined, 1), pick('random', undefined, 3))
  t.same(pick('random', undefined, 4), pick('random', undefined, 4), 'the same for a seed')
})
