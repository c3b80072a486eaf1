import { Adam, createEngine, type Gradients, type TrainingEngine } from '@kestrel/ground-station'
import { buildDeepLab, loadStudent, readParameters, readStudentFile, type Student } from '@kestrel/models'
import { createRng, sampleWithoutReplacement } from '@kestrel/runtime'
import t, { type Test } from 'tap'
import { noiseBatch, norm, relativeDifference } from '../support/batches.js'
import { operatorStudent, scalar } from '../support/graphs.js'
import { needs, sharedPath } from '../support/shared.js'

t.setTimeout(600_000)

const deepLab = loadStudent(
  buildDeepLab({
    classes: ['road', 'field', 'tree', 'water'],
    width: 64,
    height: 32,
    widthMultiplier: 0.25,
    seed: 5,
  }),
  { source: 'deeplab.onnx' },
)

type Options = Omit<Parameters<typeof createEngine>[1] & object, 'engine'>

/** What `use` gives with each of the two engines: ONNX Runtime's first. */
async function withBoth<T>(
  student: Student,
  options: Options,
  use: (engine: TrainingEngine) => Promise<T>,
): Promise<[T, T]> {
  const results: T[] = []
  for (const engine of ['onnx', 'tfjs'] as const) {
    const created = await createEngine(student, { ...options, engine, threads: 1 })
    t.equal(created.name, engine)
    try {
      results.push(await use(created))
    } finally {
      await created.dispose()
    }
  }
  return results as [T, T]
}

async function oneStep(student: Student, options: Options, batch: ReturnType<typeof noiseBatch>) {
  return withBoth(student, options, async engine => {
    const found = await engine.lossAndGradient(batch, readParameters(student))
    return { ...found, gradient: found.gradient.slice() } satisfies Gradients
  })
}

for (const batchNorm of ['frozen', 'batch'] as const) {
  t.test(`Loss and gradient of a DeepLab student, BatchNorm ${batchNorm}`, async t => {
    // Image pooling leaves one value an image and channel, whose statistics over two or three images would make the gradient
    // so steep (10 times) that float32 alone sets engines apart by per cents.
    const size = 8
    const batch = noiseBatch(deepLab, { seed: 1, size, labelHeight: 48, labelWidth: 80 })
    const [onnx, tfjs] = await oneStep(deepLab, { batchNorm }, batch)
    const difference = relativeDifference(tfjs.gradient, onnx.gradient)
    t.comment(`loss ${onnx.loss} and ${tfjs.loss}; gradients differ by ${difference}`)
    t.ok(Math.abs(tfjs.loss - onnx.loss) < 1e-5 * onnx.loss, 'loss')
    t.ok(difference < 1e-3, 'gradient')
    compareStatistics(t, deepLab, tfjs, onnx)
  })
}

/** Means may differ by a fraction of the deviation: those of centred channels are 0 but for rounding. */
function compareStatistics(t: Test, student: Student, a: Gradients, b: Gradients): void {
  t.equal(a.batchStatistics?.size, b.batchStatistics?.size)
  if (b.batchStatistics === undefined) return
  const normalisations = student.proto.graph!.node.filter(({ opType }) => opType === 'BatchNormalization')
  t.equal(b.batchStatistics.size, 2 * normalisations.length)
  const worst = normalisations.flatMap(({ input }) => {
    const [mean, variance] = [input[3], input[4]].map(name => ({
      a: a.batchStatistics!.get(name)!,
      b: b.batchStatistics!.get(name)!,
    }))
    return Array.from(mean.b, (_, c) =>
      Math.max(
        Math.abs(mean.a[c] - mean.b[c]) / Math.sqrt(variance.b[c] + 1e-3),
        Math.abs(variance.a[c] - variance.b[c]) / (variance.b[c] + 1e-3),
      ),
    )
  })
  t.ok(Math.max(...worst) < 1e-4, `statistics differ by ${Math.max(...worst)}`)
}

t.test('At the kinks of an operator both engines take the same side', async t => {
  const limits = { initializers: [scalar('min', 0), scalar('max', 6)] }
  const kinked = {
    Relu: operatorStudent('Relu'),
    Clip: operatorStudent('Clip', limits),
    LeakyRelu: operatorStudent('LeakyRelu', { attributes: { alpha: { float: 0.1 } } }),
    MaxPool: operatorStudent('MaxPool', { attributes: { kernel_shape: [2, 3], pads: [1, 1, 0, 1] } }),
  }
  for (const [operator, student] of Object.entries(kinked)) {
    const batch = noiseBatch(student, { seed: 2, size: 1 })
    // All weights 0: so is everything that the operator reads.
    const [onnx, tfjs] = await withBoth(student, {}, async engine => {
      const found = await engine.lossAndGradient(batch, new Float32Array(student.parameterCount))
      return found.gradient.slice()
    })
    const apart = Math.max(...onnx.map((value, i) => Math.abs(value - tfjs[i])))
    t.ok(apart < 1e-6, `${operator}: ${apart}`)
  }
})

/** K iterations of Adam over fixed batches. */
async function phase(
  student: Student,
  engine: TrainingEngine,
  options: { chosen?: Uint32Array; alpha: number },
): Promise<Float32Array> {
  const { chosen, alpha } = options
  const parameters = readParameters(student)
  const adam = new Adam(student.parameterCount, { alpha })
  for (let k = 0; k < 20; k++) {
    const batch = noiseBatch(student, { seed: `phase/${k}`, size: 2 })
    const { gradient } = await engine.lossAndGradient(batch, parameters)
    adam.step(parameters, gradient, chosen)
  }
  return parameters
}

for (const fraction of [0.05, 1]) {
  t.test(`A phase of 20 iterations on ${100 * fraction} % of the coordinates`, async t => {
    const P = deepLab.parameterCount
    const chosen =
      fraction === 1
        ? undefined
        : sampleWithoutReplacement(P, Math.round(fraction * P), createRng('coordinates'))
    const start = readParameters(deepLab)
    const [onnx, tfjs] = await withBoth(deepLab, {}, engine =>
      phase(deepLab, engine, { chosen, alpha: 1e-3 }),
    )
    const moved = onnx.map((value, i) => value - start[i])
    const difference = relativeDifference(tfjs, onnx)
    t.comment(
      `of the weights ${difference}, of the update ${(difference * norm(onnx)) / norm(moved)}; ` +
        `the update is ${norm(moved) / norm(start)} of the weights`,
    )
    t.ok(norm(moved) > 1e-3 * norm(start), 'something was learnt')
    t.ok(difference < 1e-3, 'both engines learn the same')
  })
}

for (const model of ['student-camvid11.onnx', 'safeuav-430k-480x272.onnx']) {
  const path = sharedPath(`models/${model}`)
  t.test(`One step of ${model}`, needs(path), async t => {
    const student = readStudentFile(path!)
    const [onnx, tfjs] = await oneStep(student, {}, noiseBatch(student, { seed: 9, size: 1 }))
    const difference = relativeDifference(tfjs.gradient, onnx.gradient)
    t.comment(`loss ${onnx.loss} and ${tfjs.loss}; gradients differ by ${difference}`)
    t.ok(Math.abs(tfjs.loss - onnx.loss) < 1e-4 * onnx.loss, 'loss')
    t.ok(difference < 1e-2, 'gradient')
  })
}
