import { Adam, createEngine, type TrainingEngine } from '@kestrel/ground-station'
import { buildDeepLab, loadStudent, readParameters, readStudentFile, type Student } from '@kestrel/models'
import { createRng, sampleWithoutReplacement } from '@kestrel/runtime'
import fc from 'fast-check'
import t, { type Test } from 'tap'
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

/** K = 20 iterations on the same batches and the same 5 % of the coordinates. */
async function phase(student: Student, engine: TrainingEngine): Promise<Float32Array> {
  const parameters = readParameters(student)
  const adam = new Adam(parameters.length)
  const chosen = sampleWithoutReplacement(
    parameters.length,
    Math.ceil(0.05 * parameters.length),
    createRng('chosen'),
  )
  for (let i = 0; i < 20; i++) {
    const { gradient } = await engine.lossAndGradient(noiseBatch(student, { seed: i }), parameters)
    adam.step(parameters, gradient, chosen)
  }
  return parameters
}

async function comparePhases(t: Test, student: Student) {
  await withEngines(student, async ([onnx, tfjs]) => {
    const [a, b] = [await phase(student, onnx), await phase(student, tfjs)]
    const start = readParameters(student)
    t.ok(relativeDifference(a, start) > 1e-4, 'weights have moved')
    const difference = relativeDifference(a, b)
    t.ok(difference < 1e-3, `weights differ by ${difference}`)
  })
}

t.test('A phase of both engines ends with the same weights: a built student', async t => {
  const bytes = buildDeepLab({
    classes: ['ground', 'sky', 'tree', 'vehicle'],
    width: 64,
    height: 32,
    widthMultiplier: 0.25,
    seed: 5,
  })
  await comparePhases(t, loadStudent(bytes, { source: 'a small DeepLab' }))
})

const camvid = sharedPath('models/student-camvid11.onnx')
t.test('camvid11: both engines give the same gradient', needs(camvid), async t => {
  const student = readStudentFile(camvid!)
  const batch = noiseBatch(student, { seed: 3, size: 1, labelHeight: 64, labelWidth: 88 })
  await withEngines(student, async ([onnx, tfjs]) => {
    const a = await onnx.lossAndGradient(batch, readParameters(student))
    const b = await tfjs.lossAndGradient(batch, readParameters(student))
    t.ok(Math.abs(a.loss - b.loss) < 1e-4 * b.loss, `losses ${a.loss} and ${b.loss}`)
    const difference = relativeDifference(a.gradient, b.gradient)
    t.ok(difference < 0.01, `gradients differ by ${difference}`)
  })
})

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
