import {
  augment,
  flopsPerFrame,
  foldIntoConvolutions,
  withStatistics,
} from '@kestrel/ground-station/pretrain'
import {
  buildDeepLab,
  loadStudent,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  readOnnx,
  StudentRunner,
  writeOnnx,
} from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import t from 'tap'

t.setTimeout(120_000)

t.test('folding BatchNorm changes no score, and leaves none', async t => {
  const rng = createRng('fold')
  const classes = ['a', 'b', 'c']
  const built = buildDeepLab({ classes, width: 64, height: 48, widthMultiplier: 0.25, seed: 3 })
  const { graph } = readOnnx(built, 'built').proto
  // Statistics as after training, not the mean 0 and variance 1 of a new model.
  const statistics = new Map(
    graph!.node
      .filter(({ opType }) => opType === 'BatchNormalization')
      .flatMap(({ input: [, scale, shift, mean, variance] }) => {
        const count = Number(graph!.initializer.find(({ name }) => name === mean)!.dims[0])
        const draw = (make: () => number) => Float32Array.from({ length: count }, make)
        return [
          [mean, draw(() => 0.3 * rng.normal())],
          [variance, draw(() => 0.3 + rng.float())],
          [scale, draw(() => 0.6 + rng.float())],
          [shift, draw(() => 0.3 * rng.normal())],
        ] as [string, Float32Array][]
      }),
  )
  const trained = withStatistics(built, statistics)
  const folded = foldIntoConvolutions(trained, { 'kestrel.provenance': 'folded' })
  t.match(Buffer.from(trained).toString('latin1'), 'BatchNormalization')
  t.notMatch(Buffer.from(folded).toString('latin1'), 'BatchNormalization')
  const image = Uint8Array.from({ length: 3 * 64 * 48 }, () => rng.int(256))
  const scores = async (bytes: Uint8Array) => {
    const student = loadStudent(bytes, { source: 'the test' })
    const runner = await StudentRunner.create(student, bytes, { threads: 1 })
    const { data } = await runner.logits(image)
    const copy = Float32Array.from(data)
    await runner.release()
    return copy
  }
  const [before, after, plain] = [await scores(trained), await scores(folded), await scores(built)]
  const largest = before.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  t.ok(
    before.every((value, i) => Math.abs(value - after[i]) < 1e-4 * largest),
    `scores up to ${largest}`,
  )
  t.notOk(
    before.every((value, i) => Math.abs(value - plain[i]) < 1e-2 * largest),
    'the statistics make a difference',
  )
})

t.test('picture and labels are cut out alike', t => {
  // Each class has a colour; within a class, picture and label must agree after any cut.
  const [width, height] = [80, 60]
  const colours = [20, 90, 160, 230]
  const labels = { width, height, data: new Uint8Array(width * height) }
  const image = { width, height, data: new Uint8Array(3 * width * height) }
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const label = (Math.floor(x / 20) + 2 * Math.floor(y / 15)) % 4
      labels.data[y * width + x] = label
      image.data.fill(colours[label], 3 * (y * width + x), 3 * (y * width + x) + 3)
    }
  }
  const out = { width: 64, height: 48 }
  const plane = out.width * out.height
  const plain = { minScale: 0.4, maxScale: 1, colour: 0, noise: 0 }
  const mirrored = new Set<boolean>()
  for (let seed = 0; seed < 40; seed++) {
    const upsideDown = seed % 2 === 1
    const images = new Uint8Array(3 * plane + 7)
    const cut = new Uint8Array(plane + 5)
    augment({ image, labels }, { ...plain, upsideDown }, createRng(seed), {
      ...out,
      images,
      imageAt: 7,
      labels: cut,
      labelAt: 5,
    })
    let wrong = 0
    let judged = 0
    for (let y = 1; y < out.height - 1; y++) {
      for (let x = 1; x < out.width - 1; x++) {
        const at = y * out.width + x
        const around = [-1, 0, 1].flatMap(dy => [-1, 0, 1].map(dx => cut[5 + at + dy * out.width + dx]))
        if (around.some(label => label !== around[4])) continue
        judged++
        if (images[7 + at] !== colours[around[4]] || images[7 + 2 * plane + at] !== colours[around[4]])
          wrong++
      }
    }
    t.equal(wrong, 0, `seed ${seed}: ${judged} pixels judged`)
    t.ok(judged > 500)
    mirrored.add(cut[5] === cut[5 + out.width - 1])
  }
  t.end()
})

t.test('cut-outs are as large as they may be', t => {
  // Each pixel's label says its column, so that a row of labels shows how much of the picture is seen.
  const [width, height] = [200, 20]
  const image = { width, height, data: new Uint8Array(3 * width * height) }
  const labels = { width, height, data: Uint8Array.from({ length: width * height }, (_, i) => i % width) }
  const shares = Array.from({ length: 200 }, (_, seed) => {
    const out = { width: 100, height: 10, images: new Uint8Array(3000), labels: new Uint8Array(1000) }
    const options = { minScale: 0.3, maxScale: 0.6, colour: 0, noise: 0 }
    augment({ image, labels }, options, createRng(seed), { ...out, imageAt: 0, labelAt: 0 })
    return (Math.abs(out.labels[99] - out.labels[0]) + 2) / width
  })
  t.ok(Math.min(...shares) > 0.29 && Math.min(...shares) < 0.33, `${Math.min(...shares)}`)
  t.ok(Math.max(...shares) < 0.61 && Math.max(...shares) > 0.57, `${Math.max(...shares)}`)
  t.end()
})

t.test('light changes the picture but not the labels, and follows from the seed', t => {
  const image = { width: 40, height: 30, data: Uint8Array.from({ length: 3600 }, (_, i) => 60 + (i % 97)) }
  const labels = { width: 40, height: 30, data: Uint8Array.from({ length: 1200 }, (_, i) => i % 5) }
  const run = (seed: number, colour: number, noise: number) => {
    const out = {
      width: 40,
      height: 30,
      images: new Uint8Array(3600),
      imageAt: 0,
      labels: new Uint8Array(1200),
      labelAt: 0,
    }
    augment({ image, labels }, { minScale: 1, maxScale: 1, colour, noise }, createRng(seed), out)
    return out
  }
  t.same(run(1, 0.8, 12).images, run(1, 0.8, 12).images)
  t.notSame(run(1, 0.8, 12).images, run(1, 0, 0).images)
  t.same(run(1, 0.8, 12).labels, run(1, 0, 0).labels)
  t.notSame(run(1, 0.8, 12).images, run(2, 0.8, 12).images)
  t.end()
})

t.test('the cost of a frame is what one counts by hand', async t => {
  const weights = (name: string, dims: number[]) =>
    makeTensor(name, dims, new Float32Array(dims.reduce((a, b) => a * b, 1)))
  const conv = (type: string, from: string, to: string, attributes: Record<string, number | number[]>) =>
    makeNode(type, [from, `${to}.w`], [to], attributes)
  const model = makeModel({
    nodes: [
      conv('Conv', 'image', 'a', { strides: [2, 2], pads: [1, 1, 1, 1] }),
      conv('Conv', 'a', 'b', { group: 4, pads: [1, 1, 1, 1] }),
      conv('ConvTranspose', 'b', 'logits', { strides: [2, 2] }),
    ],
    initializers: [
      weights('a.w', [4, 3, 3, 3]),
      weights('b.w', [4, 1, 3, 3]),
      weights('logits.w', [4, 2, 2, 2]),
    ],
    inputs: [makeValueInfo('image', ['batch', 3, 8, 12])],
    outputs: [makeValueInfo('logits', ['batch', 2, 8, 12])],
  })
  const classes = { classes: ['x', 'y'] }
  const student = loadStudent(writeOnnx(model), { source: 'the test', classes })
  const a = 4 * 4 * 6 * (3 * 9) // 4 channels of 4×6, each from 3 channels of 3×3
  const b = 4 * 4 * 6 * 9 // channel by channel
  const logits = 2 * 8 * 12 * 4 // a stride as wide as the kernel: each output from one place of 4 channels
  t.equal(await flopsPerFrame(student), 2 * (a + b + logits))
})
