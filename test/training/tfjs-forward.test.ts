import { readParameters } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { runtimeLogits } from '../support/onnx-runtime.js'
import { operatorGraphs, sizedConvTranspose } from '../support/operator-graphs.js'
import { interpret } from '../support/tfjs.js'

t.setTimeout(180_000)

const BATCH = 2

/** Operators with many combinations of attributes get more graphs. */
const many = [
  'Conv',
  'ConvTranspose',
  'sizedConvTranspose',
  'AveragePool',
  'MaxPool',
  'Resize',
  'Slice',
  'Pad',
]

for (const [operator, graphs] of Object.entries({ ...operatorGraphs, sizedConvTranspose })) {
  t.test(`${operator} computes what ONNX Runtime computes`, async t => {
    await fc.assert(
      fc.asyncProperty(graphs, fc.nat(), async (student, seed) => {
        const rng = createRng(seed)
        const { height, width } = student.input
        const image = Float32Array.from({ length: BATCH * 3 * height * width }, () => rng.int(256))
        const expected = await runtimeLogits(student, student.bytes, image)
        const found = interpret(student, image, BATCH, readParameters(student))
        if (found.dims.join() !== expected.dims.join()) {
          throw new Error(`shape ${found.dims} instead of ${expected.dims}`)
        }
        const scale = Math.max(1, ...expected.data.map(Math.abs))
        for (const [i, value] of expected.data.entries()) {
          if (!(Math.abs(found.data[i] - value) <= 2e-6 * scale)) {
            throw new Error(`value ${i} is ${found.data[i]} instead of ${value}`)
          }
        }
      }),
      { numRuns: many.includes(operator) ? 60 : 10, seed: 7 },
    )
    t.pass('the same logits')
  })
}
