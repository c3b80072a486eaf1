import { buildDeepLab, loadStudent, readParameters, type Student } from '@kestrel/models'
import fc from 'fast-check'
import t from 'tap'
import type * as StepModule from '../../ground-station/training/step.js'
import { noiseBatch, relativeDifference } from '../support/batches.js'
import { operatorGraphs } from '../support/operator-graphs.js'
import { gradientError } from './reference/network.js'

t.setTimeout(300_000)

// Not part of the room's public face: which dialect an engine writes follows from its provider and processor.
const url = new URL('../../../ground-station/dist/training/step.js', import.meta.url)
const { createStep } = (await import(url.href)) as typeof StepModule

/** What other providers and processors get: standard operators alone, with and without fused products. */
const dialects = [
  { fusedMatMul: false, block: 0 },
  { fusedMatMul: true, block: 0 },
]

async function gradientIn(student: Student, dialect: (typeof dialects)[number]) {
  const batch = noiseBatch(student, { seed: 1, size: 2 })
  const { labelHeight, labelWidth } = batch
  const options = {
    provider: 'cpu',
    dialect,
    threads: 1,
    batchNorm: 'frozen',
    batch: 2,
    labelHeight,
    labelWidth,
  } as const
  const step = await createStep(student, options)
  const parameters = readParameters(student)
  const gradient = new Float32Array(parameters.length)
  const labelled = batch.labels.filter(label => label !== 255).length
  const omega = new Float64Array(student.output.classes).fill(1 / labelled)
  await step.run({ batch, from: 0, omega, parameters, gradient, statistics: new Map(), share: 1 })
  await step.release()
  return { batch, parameters, gradient }
}

for (const operator of ['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'Resize']) {
  t.test(`${operator} without what only some providers have`, async t => {
    await fc.assert(
      fc.asyncProperty(operatorGraphs[operator], fc.constantFrom(...dialects), async (student, dialect) => {
        const { batch, parameters, gradient } = await gradientIn(student, dialect)
        const error = gradientError(student, batch, parameters, gradient)
        if (!(error < 1e-3)) throw new Error(`the gradient is off by ${error}`)
      }),
      { numRuns: 12, seed: 13 },
    )
    t.pass('for all combinations tried')
  })
}

t.test('A whole network is the same in all dialects', async t => {
  const bytes = buildDeepLab({
    classes: ['a', 'b', 'c'],
    width: 64,
    height: 64,
    widthMultiplier: 0.35,
    seed: 2,
  })
  const student = loadStudent(bytes, { source: 'a small DeepLab' })
  const [plain, fused] = [await gradientIn(student, dialects[0]), await gradientIn(student, dialects[1])]
  t.ok(relativeDifference(fused.gradient, plain.gradient) < 1e-4)
})
