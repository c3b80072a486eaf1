import { Adam, type Batch, createEngine } from '@kestrel/ground-station'
import { buildDeepLab, IGNORE, loadStudent, makeNode, readParameters, type Student } from '@kestrel/models'
import { type Log, silentLog, UserError } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { noiseBatch, norm, relativeDifference } from '../support/batches.js'
import { graphStudent, integers, operatorStudent, scalar, weights } from '../support/graphs.js'
import { gradientError, lossOf, referenceLogits } from './reference/network.js'

t.setTimeout(300_000)

function deepLab(options: Partial<Parameters<typeof buildDeepLab>[0]> = {}): Student {
  const bytes = buildDeepLab({
    classes: ['ground', 'sky', 'tree'],
    width: 64,
    height: 32,
    widthMultiplier: 0.25,
    seed: 3,
    ...options,
  })
  return loadStudent(bytes, { source: 'a small DeepLab' })
}

/** Loss and gradient, copied, by an engine that lives for one call. */
async function gradientOf(student: Student, batch: Batch, options: Parameters<typeof createEngine>[1] = {}) {
  const engine = await createEngine(student, { threads: 1, ...options })
  try {
    const { loss, gradient, batchStatistics } = await engine.lossAndGradient(batch, readParameters(student))
    return { loss, gradient: gradient.slice(), batchStatistics }
  } finally {
    await engine.dispose()
  }
}

t.test('Micro-batches add up to the batch, however it is cut', async t => {
  const student = deepLab()
  // Labels are unevenly distributed, so that a mean of means would be another number.
  const batch = noiseBatch(student, { seed: 1, size: 5, labelHeight: 40, labelWidth: 70 })
  batch.labels.fill(IGNORE, 0, 40 * 70 - 3)
  const whole = await gradientOf(student, batch, { microBatch: 5 })
  for (const microBatch of [1, 2, 3]) {
    const cut = await gradientOf(student, batch, { microBatch })
    t.ok(Math.abs(cut.loss - whole.loss) < 1e-5 * whole.loss, `loss with ${microBatch} at once`)
    t.ok(relativeDifference(cut.gradient, whole.gradient) < 1e-3, `gradient with ${microBatch} at once`)
  }
})

t.test('Unlabelled pixels count for nothing, nor does a batch of them', async t => {
  const student = operatorStudent('Relu')
  const batch = noiseBatch(student, { seed: 2, missing: 0 })
  const half = {
    ...batch,
    labels: batch.labels.map((label, i) => (i < batch.labels.length / 2 ? label : IGNORE)),
  }
  const alone = {
    ...batch,
    size: 1,
    images: batch.images.subarray(0, batch.images.length / 2),
    labels: batch.labels.subarray(0, batch.labels.length / 2),
  }
  const [a, b] = [await gradientOf(student, half), await gradientOf(student, alone)]
  t.equal(a.loss, b.loss, 'the second image is not there')
  t.strictSame(a.gradient, b.gradient)
  const none = await gradientOf(student, { ...batch, labels: batch.labels.map(() => IGNORE) })
  t.equal(none.loss, 0)
  t.ok(
    none.gradient.every(value => value === 0),
    'no gradient',
  )
})

t.test('Labels of any size', async t => {
  const student = operatorStudent('Sigmoid')
  const sizes = fc.tuple(fc.integer({ min: 1, max: 23 }), fc.integer({ min: 1, max: 19 }))
  await fc.assert(
    fc.asyncProperty(sizes, async ([labelHeight, labelWidth]) => {
      const batch = noiseBatch(student, { seed: 4, labelHeight, labelWidth, missing: 0.1 })
      const { loss, gradient } = await gradientOf(student, batch)
      const parameters = readParameters(student)
      const expected = lossOf(student, batch, Float64Array.from(parameters))
      if (!(Math.abs(loss - expected) < 1e-5)) throw new Error(`loss ${loss}, expected ${expected}`)
      const error = gradientError(student, batch, parameters, gradient)
      if (!(error < 1e-3)) throw new Error(`off by ${error}`)
    }),
    { numRuns: 15, seed: 5 },
  )
  t.pass('for all sizes tried')
})

t.test('Classes that count more: a weighted mean, on every micro-batch, in both engines', async t => {
  const student = operatorStudent('Sigmoid')
  const classWeights = Float32Array.of(0.25, 8, 1, 2)
  const batch = {
    ...noiseBatch(student, { seed: 8, size: 3, labelHeight: 20, labelWidth: 30 }),
    classWeights,
  }
  // Uneven: the sum of the weights is another one in each image.
  batch.labels.fill(0, 0, 500)
  const parameters = readParameters(student)
  const expected = lossOf(student, batch, Float64Array.from(parameters))
  const plain = await gradientOf(student, { ...batch, classWeights: undefined })
  t.ok(Math.abs(plain.loss - expected) > 1e-3, 'weights make a difference')
  const whole = await gradientOf(student, batch, { microBatch: 3 })
  t.ok(gradientError(student, batch, parameters, whole.gradient) < 1e-3, 'gradient')
  for (const options of [{ microBatch: 3 }, { microBatch: 1 }, { engine: 'tfjs' as const }]) {
    const { loss, gradient } = await gradientOf(student, batch, options)
    t.ok(Math.abs(loss - expected) < 1e-5 * expected, `loss ${loss}, expected ${expected}`)
    t.ok(relativeDifference(gradient, whole.gradient) < 1e-3, 'gradient')
  }
  const alike = await gradientOf(student, { ...batch, classWeights: new Float32Array(4).fill(5) })
  t.ok(relativeDifference(alike.gradient, plain.gradient) < 1e-5, 'only ratios matter')
  const onlyOne = { ...batch, classWeights: Float32Array.of(0, 0, 1, 1), labels: batch.labels.map(() => 0) }
  t.equal((await gradientOf(student, onlyOne)).loss, 0, 'nothing that counts')
})

t.test('Scores beyond what exp can hold give the loss, and finite gradients', async t => {
  // Up-sampled, the loss is exact as long as no score lies more than 110 below the best of its pixel.
  for (const { gain, labelHeight, exact } of [
    { gain: 14, labelHeight: 24, exact: true },
    { gain: 80, labelHeight: 6, exact: true },
    { gain: 80, labelHeight: 24, exact: false },
  ]) {
    const student = graphStudent({
      nodes: [makeNode('Mul', ['x', 'far'], ['logits'])],
      initializers: [weights('far', [4, 1, 1], 0, gain)],
    })
    const batch = noiseBatch(student, { seed: 6, labelHeight, labelWidth: (labelHeight * 4) / 3 })
    const { loss, gradient } = await gradientOf(student, batch)
    const expected = lossOf(student, batch, Float64Array.from(readParameters(student)))
    const { data } = referenceLogits(student, batch, Float64Array.from(readParameters(student)))
    const apart = Math.max(...data) - Math.min(...data)
    t.ok(apart > 60, `scores are ${apart} apart`)
    t.ok(Math.abs(loss - expected) < (exact ? 1e-5 : 0.2) * expected, `${loss}, expected ${expected}`)
    t.ok(gradient.every(Number.isFinite), 'finite')
    t.ok(norm(gradient) > 0)
  }
})

t.test('BatchNormalization with the statistics of the batch: gradients, and the statistics', async t => {
  const student = graphStudent({
    nodes: [
      makeNode('BatchNormalization', ['x', 'scale', 'shift', 'mean', 'variance'], ['n']),
      makeNode('Sigmoid', ['n'], ['logits']),
    ],
    initializers: [
      weights('scale', [4], 0.2, 1),
      weights('shift', [4]),
      weights('mean', [4]),
      weights('variance', [4], 0.1, 1),
    ],
  })
  const batch = noiseBatch(student, { seed: 7, size: 3 })
  const parameters = readParameters(student)
  const { loss, gradient, batchStatistics } = await gradientOf(student, batch, { batchNorm: 'batch' })
  const exact = Float64Array.from(parameters)
  t.ok(Math.abs(loss - lossOf(student, batch, exact, 'batch')) < 1e-5, 'loss')
  t.ok(gradientError(student, batch, parameters, gradient, 'batch') < 1e-3, 'gradient')

  // What the node reads: the logits of the same student cut off before it.
  const before = graphStudent({ nodes: [makeNode('Identity', ['x'], ['logits'])] })
  const { dims, data } = referenceLogits(before, batch, Float64Array.from(readParameters(before)))
  const plane = dims[2] * dims[3]
  const mean = batchStatistics!.get('mean')!
  const variance = batchStatistics!.get('variance')!
  for (let c = 0; c < 4; c++) {
    const values = [...data].filter((_, i) => Math.floor(i / plane) % 4 === c)
    const average = values.reduce((a, b) => a + b) / values.length
    const spread = values.reduce((a, b) => a + (b - average) ** 2, 0) / values.length
    t.ok(Math.abs(mean[c] - average) < 1e-5, `mean of channel ${c}`)
    t.ok(Math.abs(variance[c] - spread) < 1e-4 * spread, `variance of channel ${c}`)
  }
  t.equal((await gradientOf(student, batch)).batchStatistics, undefined, 'frozen: none')
})

t.test('Folded into a convolution or not, frozen BatchNormalization gives the same gradients', async t => {
  const norms = ['scale', 'shift', 'mean', 'variance']
  const initializers = [
    weights('w', [4, 4, 3, 3], 0.3),
    weights('b', [4]),
    weights('scale', [4], 0.2, 1),
    weights('shift', [4]),
    weights('mean', [4]),
    weights('variance', [4], 0.1, 1),
  ]
  const attributes = { pads: [1, 1, 1, 1] }
  for (const opType of ['Conv', 'ConvTranspose']) {
    const student = graphStudent({
      nodes: [
        makeNode(opType, ['x', 'w', 'b'], ['y'], attributes),
        makeNode('BatchNormalization', ['y', ...norms], ['n']),
        makeNode('Relu', ['n'], ['r']),
        // Read twice, this one cannot be folded.
        makeNode('BatchNormalization', ['r', ...norms.map(name => `${name}2`)], ['m']),
        makeNode('Add', ['m', 'r'], ['logits']),
      ],
      initializers: [
        ...initializers,
        ...initializers.slice(2).map(({ name }) => weights(`${name}2`, [4], 0.1, 1)),
      ],
    })
    const batch = noiseBatch(student, { seed: 8 })
    const { gradient } = await gradientOf(student, batch)
    t.ok(gradientError(student, batch, readParameters(student), gradient) < 1e-3, opType)
  }
})

t.test('The loss falls', async t => {
  for (const batchNorm of ['frozen', 'batch'] as const) {
    const student = deepLab({ width: 64, height: 64 })
    const batch = noiseBatch(student, { seed: 9, size: 2, missing: 0 })
    // Labels that can be learned: by brightness of broad stripes.
    batch.labels.forEach((_, i) => {
      const stripe = Math.floor((i % 64) / 22)
      batch.labels[i] = stripe
      const image = Math.floor(i / 4096) * 3 * 4096 + (i % 4096)
      for (let c = 0; c < 3; c++) batch.images[image + c * 4096] = 40 + 80 * stripe + (i % 7)
    })
    const engine = await createEngine(student, { threads: 1, batchNorm })
    const parameters = readParameters(student)
    const adam = new Adam(parameters.length, { alpha: 3e-3 })
    const losses: number[] = []
    for (let i = 0; i < 25; i++) {
      const { loss, gradient } = await engine.lossAndGradient(batch, parameters)
      losses.push(loss)
      adam.step(parameters, gradient)
    }
    await engine.dispose()
    t.ok(losses[24] < 0.5 * losses[0], `${batchNorm}: from ${losses[0]} to ${losses[24]}`)
  }
})

t.test('Students of older operator sets mean the same', async t => {
  const pads = [0, 0, 1, 0, 0, 0, 0, 2]
  const old = graphStudent({
    opset: 9,
    nodes: [
      makeNode('Pad', ['x'], ['p'], { pads, mode: 'constant', value: { float: 0.5 } }),
      makeNode('Slice', ['p'], ['s'], { starts: [1, 0], ends: [7, -1], axes: [2, 3] }),
      makeNode('Clip', ['s'], ['c'], { min: { float: -0.5 }, max: { float: 0.8 } }),
      makeNode('Upsample', ['c', 'scales'], ['u'], { mode: 'linear' }),
      makeNode('Unsqueeze', ['u'], ['v'], { axes: [0] }),
      makeNode('Squeeze', ['v'], ['logits'], { axes: [0] }),
    ],
    initializers: [weights('scales', [4], 0, 1)],
  })
  const scales = old.proto.graph!.initializer.find(({ name }) => name === 'scales')!
  new DataView(scales.rawData.buffer, scales.rawData.byteOffset).setFloat32(8, 2, true)
  const fresh = graphStudent({
    nodes: [
      makeNode('Pad', ['x', 'pads', 'half'], ['p']),
      makeNode('Slice', ['p', 'starts', 'ends', 'axes'], ['s']),
      makeNode('Clip', ['s', 'low', 'high'], ['c']),
      makeNode('Resize', ['c', '', 'scales'], ['logits'], {
        mode: 'linear',
        coordinate_transformation_mode: 'asymmetric',
      }),
    ],
    initializers: [
      ...[
        ['pads', pads],
        ['starts', [1, 0]],
        ['ends', [7, -1]],
        ['axes', [2, 3]],
      ].map(([name, values]) => integers(name as string, values as number[])),
      ...[
        ['half', 0.5],
        ['low', -0.5],
        ['high', 0.8],
      ].map(([name, value]) => scalar(name as string, value as number)),
      scales,
    ],
  })
  const batch = noiseBatch(old, { seed: 10 })
  const [a, b] = [await gradientOf(old, batch), await gradientOf(fresh, batch)]
  t.equal(a.loss, b.loss)
  t.ok(relativeDifference(a.gradient, b.gradient) < 1e-6)
  t.ok(norm(a.gradient) > 0)
})

t.test('A student that was exported for one image trains on batches', async t => {
  const shape = integers('shape', [1, 4, 6, 8])
  const student = graphStudent({
    batch: 1,
    nodes: [makeNode('Reshape', ['x', 'shape'], ['logits'])],
    initializers: [shape],
  })
  const free = graphStudent({ nodes: [makeNode('Identity', ['x'], ['logits'])] })
  const batch = noiseBatch(student, { seed: 11, size: 3 })
  const [a, b] = [await gradientOf(student, batch, { microBatch: 3 }), await gradientOf(free, batch)]
  t.equal(a.loss, b.loss)
  t.ok(relativeDifference(a.gradient, b.gradient) < 1e-6)
})

t.test('Parameters are taken as given, and left alone', async t => {
  const student = operatorStudent('Relu')
  const batch = noiseBatch(student, { seed: 12 })
  const engine = await createEngine(student, { threads: 1 })
  const parameters = readParameters(student)
  const first = await engine.lossAndGradient(batch, parameters)
  const before = first.loss
  t.strictSame(parameters, readParameters(student))
  const other = parameters.map(value => value * 1.1)
  const { loss } = await engine.lossAndGradient(batch, other)
  t.ok(Math.abs(loss - lossOf(student, batch, Float64Array.from(other))) < 1e-5)
  t.not(loss, before)
  // Views into a longer vector, at an offset, are as good.
  const long = new Float32Array(parameters.length + 3)
  long.set(parameters, 3)
  t.equal((await engine.lossAndGradient(batch, long.subarray(3))).loss, before)
  await engine.dispose()
})

t.test('What cannot be trained through is one clear error', async t => {
  const student = graphStudent({
    nodes: [makeNode('Sin', ['x'], ['y'], {}, 'wave'), makeNode('Relu', ['y'], ['logits'])],
  })
  const error = await createEngine(student).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  t.type(error, UserError)
  const { message } = error as UserError
  for (const part of ['graph.onnx', '"wave"', 'Sin', 'ConvTranspose', 'Softmax'])
    t.ok(message.includes(part), `${part}: ${message}`)
})

t.test('Batches of the wrong size and labels that are no class are refused', async t => {
  const student = operatorStudent('Relu')
  await t.rejects(createEngine(student, { microBatch: 0 }), UserError)
  const engine = await createEngine(student, { threads: 1 })
  const batch = noiseBatch(student, { seed: 13 })
  const parameters = readParameters(student)
  await t.rejects(engine.lossAndGradient({ ...batch, size: 3 }, parameters), UserError)
  await t.rejects(engine.lossAndGradient({ ...batch, labelWidth: 9 }, parameters), UserError)
  await t.rejects(engine.lossAndGradient(batch, parameters.subarray(1)), UserError)
  const labels = batch.labels.map(() => 4)
  await t.rejects(engine.lossAndGradient({ ...batch, labels }, parameters), { message: /class 4.*4 classes/ })
  await engine.dispose()
})

t.test('A provider that does not work here gives way to the CPU with one line', async t => {
  const student = operatorStudent('Relu')
  const batch = noiseBatch(student, { seed: 14 })
  const expected = (await gradientOf(student, batch)).loss
  for (const provider of ['webgpu', 'cuda'] as const) {
    const lines: string[] = []
    const log: Log = {
      ...silentLog,
      warn: message => lines.push(message),
      error: message => lines.push(message),
    }
    const engine = await createEngine(student, { provider, log, threads: 1 })
    if (engine.provider === provider) {
      t.strictSame(lines, [], `${provider} is there, and needs no word`)
    } else {
      t.equal(engine.provider, 'cpu')
      t.equal(lines.length, 1, lines.join('\n'))
      t.match(lines[0], new RegExp(`^${provider} does not work here`))
      t.notOk(lines[0].includes('\n'), 'one line')
    }
    const { loss } = await engine.lossAndGradient(batch, readParameters(student))
    t.ok(Math.abs(loss - expected) < 1e-3 * expected, 'and it trains')
    await engine.dispose()
  }
})
