import { Adam, createEngine, type TrainingEngine } from '@kestrel/ground-station'
import { readParameters, readStudentFile, type Student } from '@kestrel/models'
import fc from 'fast-check'
import t from 'tap'
import { noiseBatch, relativeDifference } from '../support/batches.js'
import { operatorGraphs } from '../support/operator-graphs.js'
import { needs, sharedPath } from '../support/shared.js'

t.setTimeout(600_000)

async function withEngines<T>(
  student: Student,
  use: (engines: [TrainingEngine, TrainingEngine]) => Promise<T>,
) {
  // Two images at once: some of the operators' graphs have that written into their shapes.
  const options = { threads: 1, microBatch: 2 }
  const engines: [TrainingEngine, TrainingEngine] = [
    await createEngine(student, { ...options, engine: 'onnx' }),
    await createEngine(student, { ...options, engine: 'tfjs' }),
  ]
  try {
    return await use(engines)
  } finally {
    for (const engine of engines) await engine.dispose()
  }
}

for (const [operator, students] of Object.entries(operatorGraphs)) {
  t.test(`${operator}: both engines give the same gradient`, async t => {
    await fc.assert(
      fc.asyncProperty(students, async student => {
        const batch = noiseBatch(student, { seed: 1 })
        const parameters = readParameters(student)
        await withEngines(student, async ([onnx, tfjs]) => {
          const a = await onnx.lossAndGradient(batch, parameters)
          const b = await tfjs.lossAndGradient(batch, parameters)
          const difference = relativeDifference(a.gradient, b.gradient)
          const small = a.gradient.every(value => Math.abs(value) < 1e-6)
          if (!(Math.abs(a.loss - b.loss) < 1e-5)) throw new Error(`losses ${a.loss} and ${b.loss}`)
          if (!(difference < 1e-4 || small)) throw new Error(`gradients differ by ${difference}`)
        })
      }),
      { numRuns: 4, seed: 11 },
    )
    t.pass('for all combinations tried')
  })
}

for (const name of ['student-camvid11.onnx', 'student-voc21.onnx', 'safeuav-430k-480x272.onnx']) {
  const path = sharedPath(`models/${name}`)
  t.test(`${name} trains unchanged: the loss on one batch falls`, needs(path), async t => {
    const student = readStudentFile(path!)
    const batch = noiseBatch(student, { seed: 4, size: 2 })
    const { width } = student.input
    batch.labels.forEach((_, i) => {
      batch.labels[i] = (i % width) / width < 0.5 ? 0 : 1
    })
    const engine = await createEngine(student, { threads: 2, microBatch: 2 })
    const parameters = readParameters(student)
    // The images are noise, far from what the students know: small steps.
    const adam = new Adam(parameters.length, { alpha: 2e-4 })
    const losses: number[] = []
    for (let i = 0; i < 6; i++) {
      const { loss, gradient } = await engine.lossAndGradient(batch, parameters)
      losses.push(loss)
      adam.step(parameters, gradient)
    }
    await engine.dispose()
    t.ok(losses[5] < 0.8 * losses[0], losses.map(loss => loss.toFixed(3)).join(' '))
  })
}
