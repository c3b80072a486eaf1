import { buildDeepLab, loadStudent, readParameters, StudentRunner } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import t from 'tap'

const classes = ['sky', 'road', 'tree', 'water']

t.test('the full student has the size of the published one', async t => {
  const student = loadStudent(
    buildDeepLab({ classes: Array.from({ length: 21 }, (_, i) => `c${i}`), seed: 1 }),
    {
      source: 'built',
    },
  )
  // MobileNetV2 has 2,223,872 parameters without its classifier, 412,160 of them in the last 1×1 convolution, which
  // DeepLab leaves out; pooling, 1×1, projection (each with scale and shift) and the classifier come on top.
  const head = 2 * (320 * 256 + 512) + (512 * 256 + 512) + (256 * 21 + 21)
  t.equal(student.parameterCount, 2223872 - 412160 + head)
  t.match(student.input, { width: 512, height: 256, batch: 'dynamic' })
})

for (const outputStride of [8, 16, 32] as const) {
  for (const batchNorm of [true, false]) {
    t.test(
      `output stride ${outputStride}, ${batchNorm ? 'with' : 'without'} BatchNorm: runs, sane scores`,
      async t => {
        const bytes = buildDeepLab({
          classes,
          width: 112,
          height: 75,
          widthMultiplier: 0.25,
          outputStride,
          batchNorm,
          seed: 7,
        })
        const student = loadStudent(bytes, { source: 'built' })
        t.same(student.classes, classes)
        const runner = await StudentRunner.create(student, student.bytes, { threads: 1 })
        const rng = createRng(1)
        const { data, height, width } = await runner.logits(
          Uint8Array.from({ length: 3 * 112 * 75 }, () => rng.int(256)),
        )
        t.same([height, width], [Math.ceil(75 / outputStride), Math.ceil(112 / outputStride)])
        const mean = data.reduce((sum, value) => sum + value, 0) / data.length
        const spread = Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length)
        t.ok(spread > 0.01 && spread < 100, `spread ${spread}`)
        const map = await runner.label({ width: 112, height: 75, data: new Uint8Array(3 * 112 * 75) })
        t.ok(map.data.every(label => label < classes.length))
        await t.rejects(
          runner.label({ width: 75, height: 112, data: new Uint8Array(3 * 112 * 75) }),
          RangeError,
        )
        await runner.release()
      },
    )
  }
}

t.test(
  'a decoder gives logits of stride 4 for any number of images, and moves no weight of the backbone',
  async t => {
    // Sizes that no stride divides: 75 rows are 5 of the backbone's, and 19 of the decoder's.
    const size = { width: 114, height: 75, widthMultiplier: 0.25, seed: 7 }
    const student = loadStudent(buildDeepLab({ classes, ...size, decoder: true }), { source: 'built' })
    const plain = loadStudent(buildDeepLab({ classes, ...size }), { source: 'built' })
    const added =
      256 * 128 +
      256 +
      8 * 48 +
      96 +
      (176 * 9 + 352) +
      (176 * 128 + 256) +
      (128 * 9 + 256) +
      (128 * 128 + 256)
    const classifier = (channels: number) => channels * classes.length + classes.length
    t.equal(student.parameterCount, plain.parameterCount + added + classifier(128) - classifier(256))
    t.same(readParameters(student).slice(0, 1000), readParameters(plain).slice(0, 1000))
    const runner = await StudentRunner.create(student, student.bytes, { threads: 1 })
    const image = Uint8Array.from({ length: 3 * 114 * 75 }, (_, i) => (i * 37) & 255)
    const one = await runner.logits(image)
    t.same([one.height, one.width], [19, 29])
    t.ok(one.data.every(Number.isFinite))
    await runner.release()
  },
)

t.test('the seed decides', async t => {
  const build = (seed: number) =>
    buildDeepLab({ classes, width: 64, height: 64, widthMultiplier: 0.25, seed })
  t.equal(Buffer.compare(build(1), build(1)), 0)
  const [one, two] = [1, 2].map(seed => readParameters(loadStudent(build(seed), { source: 'built' })))
  t.equal(one.length, two.length)
  t.not(one[0], two[0])
})

t.test('convolutions are He-initialised', async t => {
  const student = loadStudent(buildDeepLab({ classes, seed: 3 }), { source: 'built' })
  const vector = readParameters(student)
  const deviation = (name: string) => {
    const { offset, count } = student.parameters.find(tensor => tensor.name === name)!
    return Math.sqrt(
      vector.slice(offset, offset + count).reduce((sum, value) => sum + value * value, 0) / count,
    )
  }
  const close = (found: number, expected: number) =>
    t.ok(Math.abs(found / expected - 1) < 0.05, `${found} ${expected}`)
  close(deviation('aspp.weight'), Math.sqrt(2 / 320))
  close(deviation('projection.weight'), Math.sqrt(2 / 512))
  close(deviation('block15.depthwise.weight'), Math.sqrt(2 / 9))
  close(deviation('block15.project.weight'), Math.sqrt(1 / 960))
})

t.test('impossible options are refused', async t => {
  t.throws(() => buildDeepLab({ classes, seed: 1, width: 16 }), { name: 'UserError', message: /32 to 8192/ })
  t.throws(() => buildDeepLab({ classes, seed: 1, widthMultiplier: 0 }), {
    name: 'UserError',
    message: /multiplier/,
  })
  t.throws(() => buildDeepLab({ classes: ['a', 'a'], seed: 1 }), {
    name: 'UserError',
    message: /both called/,
  })
})
