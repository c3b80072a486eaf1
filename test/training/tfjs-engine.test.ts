import { buildDeepLab, loadStudent, makeNode, makeTensor, readParameters } from '@kestrel/models'
import { type Log, silentLog, UserError } from '@kestrel/runtime'
import t from 'tap'
import { noiseBatch, relativeDifference } from '../support/batches.js'
import { graphStudent, integers, operatorStudent } from '../support/graphs.js'
import { createTfjsEngine, loadTensorFlow, tf } from '../support/tfjs.js'

t.setTimeout(180_000)

const tiny = loadStudent(
  buildDeepLab({ classes: ['a', 'b', 'c', 'd'], width: 64, height: 32, widthMultiplier: 0.25, seed: 5 }),
  { source: 'tiny.onnx' },
)

function keptLog(): { log: Log; lines: string[] } {
  const lines: string[] = []
  const keep = (message: string) => void lines.push(message)
  const log: Log = { ...silentLog, info: keep, warn: message => keep(`warning: ${message}`) }
  return { log, lines }
}

t.test('Micro-batches add up to the batch', async t => {
  const student = operatorStudent('Sigmoid')
  // Unlabelled pixels are spread unevenly, so a mean of micro-batch means would be another number.
  const batch = noiseBatch(student, { seed: 1, size: 5, missing: 0 })
  batch.labels.fill(255, 0, 90)
  const parameters = readParameters(student)
  const results = []
  for (const microBatch of [5, 1, 2, 3, 8]) {
    const engine = await createTfjsEngine(student, { microBatch })
    const { loss, gradient } = await engine.lossAndGradient(batch, parameters)
    results.push({ loss, gradient: gradient.slice() })
    await engine.dispose()
  }
  for (const { loss, gradient } of results) {
    t.ok(Math.abs(loss - results[0].loss) < 1e-6)
    t.ok(relativeDifference(gradient, results[0].gradient) < 1e-5)
  }
})

t.test('A batch without labels teaches nothing', async t => {
  const student = operatorStudent('Relu')
  const engine = await createTfjsEngine(student)
  const batch = noiseBatch(student, { seed: 2, missing: 1 })
  const { loss, gradient } = await engine.lossAndGradient(batch, readParameters(student))
  t.equal(loss, 0)
  t.ok(gradient.every(value => value === 0))
  await engine.dispose()
})

t.test('The parameters count that are given, not those in the file', async t => {
  const engine = await createTfjsEngine(tiny)
  const batch = noiseBatch(tiny, { seed: 3, size: 1 })
  const parameters = readParameters(tiny)
  const before = (await engine.lossAndGradient(batch, parameters)).loss
  const changed = (
    await engine.lossAndGradient(
      batch,
      parameters.map(value => value * 0.9),
    )
  ).loss
  t.not(changed, before)
  t.equal((await engine.lossAndGradient(batch, parameters)).loss, before)
  await engine.dispose()
})

t.test('Memory is flat over steps, and goes back when disposed of', async t => {
  const bare = tf.memory().numTensors
  for (const batchNorm of ['frozen', 'batch'] as const) {
    const engine = await createTfjsEngine(tiny, { batchNorm })
    const batch = noiseBatch(tiny, { seed: 4, size: 1 })
    const parameters = readParameters(tiny)
    await engine.lossAndGradient(batch, parameters)
    const { numTensors, numBytes } = tf.memory()
    for (let i = 0; i < 2; i++) await engine.lossAndGradient(batch, parameters)
    t.equal(tf.memory().numTensors, numTensors)
    t.equal(tf.memory().numBytes, numBytes)
    await engine.dispose()
    t.equal(tf.memory().numTensors, bare)
  }
})

t.test('A student exported for one image trains on batches', async t => {
  const nodes = [makeNode('Reshape', ['x', 'shape'], ['logits'])]
  const student = graphStudent({ nodes, initializers: [integers('shape', [1, 4, 8, 6])], batch: 1 })
  const engine = await createTfjsEngine(student, { microBatch: 4 })
  const { loss } = await engine.lossAndGradient(
    noiseBatch(student, { seed: 5, size: 3 }),
    readParameters(student),
  )
  t.ok(loss > 0)
  await engine.dispose()
})

t.test('What cannot be trained is one clear error', async t => {
  const unknown = graphStudent({ nodes: [makeNode('Erf', ['x'], ['logits'], {}, 'gelu/erf')] })
  await t.rejects(
    createTfjsEngine(unknown),
    new UserError(
      'graph.onnx: node "gelu/erf" is the operator Erf, which the TensorFlow.js engine does not know; ' +
        'export the student without it, or train with the ONNX engine',
    ),
  )
  const unused = graphStudent({
    nodes: [makeNode('Erf', ['x'], ['nowhere']), makeNode('Relu', ['x'], ['logits'])],
  })
  const engine = await createTfjsEngine(unused)
  t.ok((await engine.lossAndGradient(noiseBatch(unused, { seed: 6 }), readParameters(unused))).loss > 0)
  await engine.dispose()

  const scales = makeTensor('scales', [4], Float32Array.of(1, 1, 2, 2))
  const cubic = graphStudent({
    nodes: [makeNode('Resize', ['x', '', 'scales'], ['logits'], { mode: 'cubic' }, 'up')],
    initializers: [scales],
  })
  const cubicEngine = await createTfjsEngine(cubic)
  await t.rejects(cubicEngine.lossAndGradient(noiseBatch(cubic, { seed: 7 }), readParameters(cubic)), {
    name: 'UserError',
    message: /node "up" \(Resize\) .* its mode is cubic; known are nearest, linear/,
  })
  await cubicEngine.dispose()
})

t.test('A batch of the wrong size is refused', async t => {
  const engine = await createTfjsEngine(tiny)
  const batch = noiseBatch(tiny, { seed: 8 })
  await t.rejects(engine.lossAndGradient({ ...batch, size: 3 }, readParameters(tiny)), UserError)
  batch.labels[0] = 4
  await t.rejects(engine.lossAndGradient(batch, readParameters(tiny)), UserError)
  await engine.dispose()
})

t.test('A native TensorFlow is used where it is installed', async t => {
  const missing = () =>
    Promise.reject(Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' }))
  const native = { default: { ready: async () => {}, getBackend: () => 'tensorflow' } }

  const gpu = keptLog()
  t.equal((await loadTensorFlow({ log: gpu.log, load: async () => native })).provider, 'tfjs-node-gpu')
  t.same(gpu.lines, ['TensorFlow.js computes with tfjs-node-gpu (backend "tensorflow")'])

  const node = keptLog()
  const onlyNode = (name: string) => (name === '@tensorflow/tfjs-node' ? Promise.resolve(native) : missing())
  t.equal((await loadTensorFlow({ log: node.log, load: onlyNode })).provider, 'tfjs-node')

  const broken = keptLog()
  const crash = () => Promise.reject(new Error('libtensorflow.so.2: cannot open shared object file\nat …'))
  t.equal((await loadTensorFlow({ log: broken.log, load: crash })).provider, 'cpu')
  t.match(broken.lines[0], /^warning: .*tfjs-node-gpu is installed but does not load \(libtensorflow/)
  t.equal(broken.lines.length, 3, 'a word for each, and what is used in the end')

  const plain = keptLog()
  t.equal((await loadTensorFlow({ log: plain.log, load: missing })).provider, 'cpu')
  t.equal(plain.lines.length, 1)
})
