import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  gather,
  judge,
  judgementTable,
  loadRecipe,
  pretrain,
  type Recipe,
  recipeSchema,
  schedule,
  split,
} from '@kestrel/ground-station/pretrain'
import { readStudentFile } from '@kestrel/models'
import { parseConfig, silentLog } from '@kestrel/runtime'
import t from 'tap'
import { sceneClasses, writeScene } from '../support/scene.js'

t.setTimeout(300_000)

const dir = t.testdir()
const scene = writeScene(dir, { seconds: 6, fps: 5, width: 96, height: 72, seed: 2 })

function recipe(more: object = {}): Recipe {
  return parseConfig(
    {
      name: 'tiny',
      classes: sceneClasses,
      model: { width: 64, height: 48, widthMultiplier: 0.25 },
      sources: [{ pictures: scene.frames, teacher: `labels:${scene.labels}` }],
      validation: 0.2,
      iterations: 140,
      batch: 4,
      alpha: 5e-3,
      warmup: 5,
      augment: { minScale: 0.7, colour: 0.2, noise: 2 },
      ...more,
    },
    recipeSchema,
    'the test',
  )
}

const options = { threads: 1, log: silentLog }

t.test('a student learns a small world, and its card says how', async t => {
  const out = join(dir, 'tiny.onnx')
  const losses: number[] = []
  const progress = {
    examples() {},
    training: (_done: number, _total: number, loss: number) => losses.push(loss),
  }
  const judged = await pretrain({ recipe: recipe(), out, command: 'pretrain it', progress, ...options })
  t.ok(losses[losses.length - 1] < 0.6 * losses[0], `loss ${losses[0]} → ${losses[losses.length - 1]}`)
  // One class everywhere, the most that can be had without learning, has less than 25 %.
  t.ok(judged!.miou! > 40, `mIoU ${judged!.miou}`)
  const student = readStudentFile(out)
  t.strictSame(student.classes, sceneClasses)
  t.notOk(readFileSync(out).includes('BatchNormalization'), 'it is folded')
  t.match(readFileSync(out, 'latin1'), 'tiny: pretrain it; seed 1, 140 iterations')
  const card = readFileSync(join(dir, 'tiny.md'), 'utf8')
  t.match(card, '140 iterations of 4 images, from random weights, seed 1')
  t.match(card, `**${judged!.miou!.toFixed(1)} %**`)
  t.match(card, /\| vehicle \| [\d.]+ % \|/)
})

t.test('what was interrupted goes on as if it had not been', async t => {
  const short = recipe({ iterations: 16 })
  const whole = join(dir, 'whole.onnx')
  await pretrain({ recipe: short, out: whole, ...options })
  const parts = join(dir, 'parts.onnx')
  const stopping = new AbortController()
  const progress = {
    examples() {},
    training(done: number) {
      if (done === 6) stopping.abort()
    },
  }
  t.equal(
    await pretrain({ recipe: short, out: parts, progress, signal: stopping.signal, ...options }),
    undefined,
  )
  t.notOk(existsSync(parts), 'no model before the end')
  await pretrain({ recipe: short, out: parts, resume: true, ...options })
  const weights = (file: string) => readStudentFile(file).parameters.length
  t.equal(weights(parts), weights(whole))
  t.same(readFileSync(parts), readFileSync(whole), 'to the byte')
})

t.test('a larger model of the same architecture begins with what a smaller one learned', async t => {
  const small = join(dir, 'tiny.checkpoint')
  const large = { width: 96, height: 64, widthMultiplier: 0.25 }
  const losses: number[] = []
  const progress = { examples() {}, training: (_d: number, _t: number, loss: number) => losses.push(loss) }
  const more = { model: large, start: small, iterations: 2, alpha: 1e-6 }
  const judged = await pretrain({ recipe: recipe(more), out: join(dir, 'large.onnx'), progress, ...options })
  t.ok(losses[0] < 0.75 * Math.log(4), `loss ${losses[0]} at the start; four classes by chance have 1.39`)
  t.ok(judged!.miou! > 30, `mIoU ${judged!.miou}`)
  const other = recipe({ ...more, model: { ...large, widthMultiplier: 0.35 } })
  await t.rejects(pretrain({ recipe: other, out: join(dir, 'x.onnx'), ...options }), /another architecture/)
})

t.test('a finished model is a beginning too, and its BatchNormalization stays folded', async t => {
  const start = join(dir, 'tiny.onnx')
  const out = join(dir, 'new', 'finer.onnx')
  const losses: number[] = []
  const progress = { examples() {}, training: (_d: number, _t: number, loss: number) => losses.push(loss) }
  const finer = { width: 96, height: 64, widthMultiplier: 0.25, outputStride: 8 }
  const more = recipe({ model: finer, start, iterations: 3, alpha: 1e-6 })
  const judged = await pretrain({ recipe: more, out, progress, ...options })
  t.ok(losses[0] < 0.75 * Math.log(4), `loss ${losses[0]} at the start; four classes by chance have 1.39`)
  t.ok(judged!.miou! > 30, `mIoU ${judged!.miou}`)
  t.equal(readStudentFile(out).parameterCount, readStudentFile(start).parameterCount)
  t.match(readFileSync(join(dir, 'new', 'finer.md'), 'utf8'), 'from tiny.onnx')
  const other = recipe({ start, model: { ...finer, widthMultiplier: 0.35 } })
  await t.rejects(pretrain({ recipe: other, out: join(dir, 'x.onnx'), ...options }), /another architecture/)
  const absent = recipe({ start: join(dir, 'absent.onnx') })
  await t.rejects(pretrain({ recipe: absent, out: join(dir, 'x.onnx'), ...options }), /no model .*absent/)
})

t.test('simulated flights are examples, but those that judge are refused', async t => {
  const size = { width: 64, height: 36 }
  const classes = ['sky', 'forest', 'land']
  const sets = await gather([{ scenarios: ['train-summer-fields'], frames: 3, weight: 1 }], {
    classes,
    ...size,
    log: silentLog,
  })
  t.strictSame(
    sets.map(({ name, examples }) => [name, examples.length]),
    [['train-summer-fields', 3]],
  )
  for (const { labels } of sets[0].examples) t.ok(labels.data.every(label => label < 3 || label === 255))
  await t.rejects(
    gather([{ scenarios: ['dawn-coast'], frames: 3, weight: 1 }], { classes, ...size, log: silentLog }),
    /dawn-coast is held out/,
  )
})

t.test('what a teacher is known to get wrong is put right', async t => {
  const source = { pictures: scene.frames, teacher: `labels:${scene.labels}`, every: 1, weight: 1 }
  const gathered = (correct?: Record<string, string>) =>
    gather([{ ...source, correct }], { classes: sceneClasses, width: 96, height: 72, log: silentLog })
  const [as, put] = [await gathered(), await gathered({ vehicle: 'ground', tree: 'sky' })]
  const right = [0, 1, 0, 1]
  let changed = 0
  for (const [i, { labels }] of as[0].examples.entries()) {
    const expected = labels.data.map(label => right[label] ?? label)
    t.ok(Buffer.from(expected).equals(put[0].examples[i].labels.data), `picture ${i}`)
    changed += expected.filter((label, k) => label !== labels.data[k]).length
  }
  t.ok(changed > 100, `${changed} pixels`)
  await t.rejects(gathered({ vehicel: 'ground' }), {
    name: 'UserError',
    message: /corrects "vehicel", which is no class: expected ground, sky, vehicle, tree/,
  })
})

t.test('models are judged on what the recipe holds back, and say what their cards say', async t => {
  const files = [join(dir, 'tiny.onnx'), join(dir, 'new', 'finer.onnx')]
  const judged = await judge({ recipe: recipe(), files, ...options })
  const card = readFileSync(join(dir, 'tiny.md'), 'utf8')
  t.match(card, `**${judged[0].validation.miou!.toFixed(1)} %**`)
  t.equal(judged[0].validation.perSet[0].examples, 6)
  const whole = await judge({ recipe: recipe(), files, all: true, ...options })
  t.equal(whole[0].validation.perSet[0].examples, 30)
  const lines = judgementTable(judged).split('\n')
  t.match(lines[0], /^mIoU, % +examples .*tiny\.onnx +new\/finer\.onnx$/)
  t.match(lines[1], /^.*frames +6 +[\d.]+ +[\d.]+$/)
  t.match(lines[2], /^all +6 /)
  await t.rejects(judge({ recipe: recipe({ validation: 0 }), files, ...options }), /holds back nothing/)
  const other = recipe({ classes: ['ground', 'sky'] })
  await t.rejects(judge({ recipe: other, files, ...options }), /tiny\.onnx knows ground, sky, vehicle, tree/)
  await t.rejects(judge({ recipe: recipe(), files: [join(dir, 'absent.onnx')], ...options }), /absent\.onnx/)
})

t.test('the split holds back some of each source, always the same, and none twice', t => {
  const example = () => ({
    image: { width: 1, height: 1, data: new Uint8Array(3) },
    labels: { width: 1, height: 1, data: new Uint8Array(1) },
  })
  const sets = [10, 23].map((count, i) => ({
    name: `${i}`,
    weight: 1,
    examples: Array.from({ length: count }, example),
  }))
  const { training, validation } = split(sets, 0.2)
  t.strictSame(
    validation.map(({ examples }) => examples.length),
    [2, 4],
  )
  for (const [i, { examples }] of sets.entries()) {
    t.strictSame(new Set([...training[i].examples, ...validation[i].examples]).size, examples.length)
  }
  t.equal(split(sets, 0).training[1].examples.length, 23)
  t.end()
})

t.test('the learning rate rises, then falls to nothing', t => {
  const rates = Array.from({ length: 100 }, (_, i) => schedule(i, 100, 10))
  t.equal(rates[0], 0.1)
  t.equal(rates[9], 1)
  t.ok(rates.slice(10).every((rate, i, all) => i === 0 || rate < all[i - 1]))
  t.ok(rates[99] < 0.001)
  t.end()
})

t.test('what cannot be used is one clear error', async t => {
  const file = join(dir, 'bad.yaml')
  writeFileSync(file, 'name: x\nsources: [{ pictures: nowhere, teacher: "labels:nowhere" }]\niteration: 3\n')
  t.throws(() => loadRecipe(file), {
    name: 'UserError',
    message: /unknown key "iteration": did you mean "iterations"/,
  })
  writeFileSync(file, 'name: x\nsources: [{ pictures: nowhere, teacher: "labels:nowhere" }]\n')
  await t.rejects(pretrain({ recipe: loadRecipe(file), out: join(dir, 'x.onnx'), ...options }), {
    name: 'UserError',
    message: /There are no pictures .*nowhere/,
  })
  writeFileSync(join(dir, 'rubbish.checkpoint'), 'rubbish')
  const rubbish = recipe({ start: join(dir, 'rubbish.checkpoint') })
  await t.rejects(
    pretrain({ recipe: rubbish, out: join(dir, 'x.onnx'), ...options }),
    /no checkpoint of pretrain/,
  )
})
