import { classWeights } from '@kestrel/ground-station'
import t from 'tap'

t.test('rare classes count more, by the power asked for', async t => {
  // Four classes, mean 100: one of 16, one average, one that is not there, one frequent.
  const counts = [16, 100, 0, 184]
  t.same([...classWeights(counts, 4, 0)], [1, 1, 1, 1])
  t.same([...classWeights(counts, 4, 0.5)], [2.5, 1, 1, Math.fround(Math.sqrt(100 / 184))])
  t.same([...classWeights(counts, 4, 1)], [6.25, 1, 1, Math.fround(100 / 184)])
})

t.test('within bounds, whatever the counts', async t => {
  t.same([...classWeights([1, 1e9], 2, 1)], [8, 0.5])
  t.same([...classWeights([0, 0, 0], 3, 0.5)], [1, 1, 1])
  // Counts by label, of which those behind the classes are none: 255 is "no label".
  t.equal(classWeights(new Float64Array(256).fill(7), 3, 0.5).length, 3)
})
