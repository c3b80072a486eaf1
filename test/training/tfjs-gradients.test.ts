import type { Batch, TrainingEngine } from '@kestrel/ground-station'
import { readParameters, type Student, withParameters } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { dot, noiseBatch, norm, referenceLoss } from '../support/batches.js'
import { operatorStudent } from '../support/graphs.js'
import { runtimeLogits } from '../support/onnx-runtime.js'
import { operatorGraphs } from '../support/operator-graphs.js'
import { createTfjsEngine } from '../support/tfjs.js'
import { sizedConvTranspose } from '../support/window-graphs.js'

t.setTimeout(180_000)

/**
 * Steps of the central differences: above the rounding of float32 logits, below the curvature of the loss. The second one is for
 * the case that a kink of a piecewise linear operator lies within the first.
 */
const STEPS = [3e-3, 5e-4]

type Loss = (parameters: Float32Array) => Promise<number>

/** Directions, of length 1: along the gradient of each tensor, which tests its size, and random ones, which test its coordinates. */
function directions(student: Student, gradient: Float32Array, seed: number): Float64Array[] {
  const rng = createRng(`directions/${seed}`)
  const along = student.parameters.map(({ offset, count }) => {
    const part = new Float64Array(gradient.length)
    part.set(gradient.subarray(offset, offset + count), offset)
    return part
  })
  const random = Array.from({ length: 3 }, () => Float64Array.from(gradient, () => rng.normal()))
  return [...along, ...random]
    .filter(direction => norm(direction) > 1e-3)
    .map(direction => {
      const length = norm(direction)
      return direction.map(value => value / length)
    })
}

/** Fails where the slope of `loss` along a direction is not what the gradient says. */
async function checkSlopes(
  loss: Loss,
  parameters: Float32Array,
  gradient: Float32Array,
  tried: Float64Array[],
): Promise<void> {
  const moved = (direction: Float64Array, step: number) =>
    parameters.map((value, i) => value + step * direction[i])
  const slopeAlong = async (direction: Float64Array, step: number) =>
    ((await loss(moved(direction, step))) - (await loss(moved(direction, -step)))) / (2 * step)
  for (const direction of tried) {
    const expected = dot(gradient, direction)
    // A random direction sees 1/√P of the gradient.
    const tolerance = Math.max(
      0.03 * Math.abs(expected),
      (0.1 * norm(gradient)) / Math.sqrt(gradient.length),
      1e-4,
    )
    const slopes: number[] = []
    for (const step of STEPS) {
      slopes.push(await slopeAlong(direction, step))
      if (Math.abs(slopes.at(-1)! - expected) <= tolerance) break
      if (slopes.length === STEPS.length)
        throw new Error(`the loss has the slopes ${slopes}; the gradient says ${expected}`)
    }
  }
}

/** The loss of a student by ONNX Runtime and plain loops. */
function independentLoss(student: Student, batch: Batch): Loss {
  const image = Float32Array.from(batch.images)
  return async parameters => {
    const { data, dims } = await runtimeLogits(student, withParameters(student, parameters), image)
    return referenceLoss(data, dims, batch)
  }
}

async function withEngine<T>(
  student: Student,
  options: Parameters<typeof createTfjsEngine>[1],
  use: (engine: TrainingEngine) => Promise<T>,
): Promise<T> {
  const engine = await createTfjsEngine(student, options)
  try {
    return await use(engine)
  } finally {
    await engine.dispose()
  }
}

for (const [operator, graphs] of Object.entries({ ...operatorGraphs, sizedConvTranspose })) {
  t.test(`The gradient through ${operator} is the slope of the loss`, async t => {
    await fc.assert(
      fc.asyncProperty(graphs, fc.nat(), async (student, seed) => {
        const batch = noiseBatch(student, { seed, labelHeight: 7, labelWidth: 5 })
        const parameters = readParameters(student)
        const loss = independentLoss(student, batch)
        const found = await withEngine(student, { microBatch: batch.size }, engine =>
          engine.lossAndGradient(batch, parameters),
        )
        const expected = await loss(parameters)
        if (!(Math.abs(found.loss - expected) <= 1e-5 * expected + 1e-6)) {
          throw new Error(`the loss is ${found.loss} instead of ${expected}`)
        }
        await checkSlopes(loss, parameters, found.gradient, directions(student, found.gradient, seed))
      }),
      {
        numRuns: ['Conv', 'ConvTranspose', 'sizedConvTranspose', 'Resize'].includes(operator) ? 20 : 6,
        seed: 7,
      },
    )
    t.pass('slopes agree')
  })
}

t.test('BatchNormalization with the statistics of the batch', async t => {
  const [student] = fc.sample(operatorGraphs.BatchNormalization, { numRuns: 1, seed: 1 })
  const batch = noiseBatch(student, { seed: 3, size: 3 })
  const parameters = readParameters(student)
  await withEngine(student, { batchNorm: 'batch', microBatch: 3 }, async engine => {
    const found = await engine.lossAndGradient(batch, parameters)
    const gradient = found.gradient.slice()
    // `x`, which it normalises, is what a student without it gives as logits.
    const bare = operatorStudent('Identity')
    const { data } = await runtimeLogits(bare, bare.bytes, Float32Array.from(batch.images))
    for (let c = 0; c < 4; c++) {
      const channel = data.filter((_, i) => Math.floor(i / 48) % 4 === c)
      const mean = channel.reduce((a, b) => a + b) / channel.length
      const variance = channel.reduce((a, b) => a + (b - mean) ** 2, 0) / channel.length
      t.ok(Math.abs(found.batchStatistics!.get('mean')![c] - mean) < 1e-5, `mean of channel ${c}`)
      t.ok(Math.abs(found.batchStatistics!.get('variance')![c] - variance) < 1e-5, `variance of channel ${c}`)
    }
    const loss: Loss = async moved => (await engine.lossAndGradient(batch, moved)).loss
    await checkSlopes(loss, parameters, gradient, directions(student, gradient, 1))
  })
  await withEngine(student, { batchNorm: 'batch', microBatch: 2 }, async engine => {
    const parts = (await engine.lossAndGradient(batch, parameters)).batchStatistics!.get('mean')!
    await withEngine(student, { batchNorm: 'batch' }, async engine => {
      const whole = (await engine.lossAndGradient(batch, parameters)).batchStatistics!.get('mean')!
      const apart = parts.map((mean, c) => Math.abs(mean - whole[c]))
      t.ok(Math.max(...apart) < 1e-6, 'micro-batches count by their size')
    })
  })
  await withEngine(student, {}, async engine => {
    t.equal(
      (await engine.lossAndGradient(batch, parameters)).batchStatistics,
      undefined,
      'frozen: none to report',
    )
  })
})
