import { createEngine } from '@kestrel/ground-station'
import { readParameters } from '@kestrel/models'
import fc from 'fast-check'
import t from 'tap'
import { noiseBatch } from '../support/batches.js'
import { operatorGraphs } from '../support/operator-graphs.js'
import { gradientError, lossOf } from './reference/network.js'

t.setTimeout(300_000)

/** Combinations of attributes that are tried of each operator; they are the same at every run. */
const RUNS = Number(process.env.KESTREL_PROPERTY_RUNS ?? 12)

for (const [operator, students] of Object.entries(operatorGraphs)) {
  t.test(`${operator}: loss and gradient agree with double precision and its differences`, async t => {
    await fc.assert(
      fc.asyncProperty(students, fc.integer({ min: 0, max: 999 }), async (student, seed) => {
        const batch = noiseBatch(student, { seed })
        const parameters = readParameters(student)
        const engine = await createEngine(student, { threads: 1, microBatch: 2 })
        try {
          const { loss, gradient } = await engine.lossAndGradient(batch, parameters)
          const expected = lossOf(student, batch, Float64Array.from(parameters))
          if (!(Math.abs(loss - expected) <= 1e-5 * expected + 1e-7))
            throw new Error(`loss ${loss}, expected ${expected}`)
          const error = gradientError(student, batch, parameters, gradient)
          if (!(error < 1e-3)) throw new Error(`the gradient is off by ${error}`)
        } finally {
          await engine.dispose()
        }
      }),
      { numRuns: RUNS, seed: 7 },
    )
    t.pass('for all combinations tried')
  })
}
