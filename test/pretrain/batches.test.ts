import { batches, type ExampleSet, recipeSchema } from '@kestrel/ground-station/pretrain'
import { buildDeepLab, loadStudent } from '@kestrel/models'
import { createRng, parseConfig } from '@kestrel/runtime'
import t from 'tap'

const [width, height] = [32, 32]
const classes = ['a', 'b', 'c']
const student = loadStudent(buildDeepLab({ classes, width, height, widthMultiplier: 0.1, seed: 1 }), {
  source: 'the test',
})

function recipe(more: object = {}) {
  const plain = { minScale: 1, maxScale: 1, colour: 0, noise: 0 }
  const sources = [{ scenarios: ['unused'] }]
  return parseConfig({ name: 'x', classes, sources, augment: plain, ...more }, recipeSchema, 'the test')
}

/** Pictures of one grey level; the upper rows are of class a, the share `b` of the rows at the bottom of class b. */
function set(grey: number, weight: number, b: number, more: Partial<ExampleSet> = {}): ExampleSet {
  const data = Uint8Array.from({ length: width * height }, (_, i) => (i >= (1 - b) * width * height ? 1 : 0))
  const image = { width, height, data: new Uint8Array(3 * width * height).fill(grey) }
  const example = { image, labels: { width, height, data } }
  return { name: `${grey}`, weight, examples: [example, example, example], ...more }
}

/** Grey levels of the pictures of a batch. */
const greys = (images: Uint8Array) =>
  Array.from({ length: images.length / (3 * width * height) }, (_, i) => images[i * 3 * width * height])

t.test('sources whose pixels count differently never share a batch; each comes by its weight', t => {
  const sets = [
    set(10, 2, 1 / 4),
    set(20, 1, 1 / 2),
    set(30, 1, 1 / 4, { classBalance: 0 }),
    set(40, 0.5, 1 / 4, { classBalance: 1 }),
  ]
  const draw = batches(student, recipe({ classBalance: 0.5 }), sets)
  const counts = new Map<number, number>()
  const weights = new Map<number, number[]>()
  let mixed = 0
  for (let i = 0; i < 600; i++) {
    const { images, classWeights } = draw(createRng(`test/${i}`))
    const found = greys(images)
    const group = (grey: number) => (grey < 30 ? 10 : grey)
    for (const grey of found) {
      if (group(grey) !== group(found[0])) mixed++
      counts.set(grey, (counts.get(grey) ?? 0) + 1)
    }
    weights.set(group(found[0]), [...classWeights!])
  }
  t.equal(mixed, 0)
  const share = (grey: number) => (counts.get(grey) ?? 0) / (600 * 8)
  for (const [grey, expected] of [
    [10, 2 / 4.5],
    [20, 1 / 4.5],
    [30, 1 / 4.5],
    [40, 0.5 / 4.5],
  ]) {
    // Batches are of one group: some 600 draws, whose deviation is below 0.02.
    t.ok(Math.abs(share(grey) - expected) < 0.07, `${grey}: ${share(grey)}, expected ${expected}`)
  }
  // By hand: of the first group 5/8 of the pixels are a, 3/8 b; (mean/frequency)^exponent; c does not occur.
  const near = (found: number[] | undefined, expected: number[]) =>
    t.ok(
      expected.every((value, i) => Math.abs(value - (found?.[i] ?? Number.NaN)) < 1e-4),
      `${found} for ${expected}`,
    )
  near(weights.get(10), [Math.sqrt(0.5 / (5 / 8)), Math.sqrt(0.5 / (3 / 8)), 1])
  near(weights.get(30), [1, 1, 1])
  near(weights.get(40), [0.5 / (3 / 4), 0.5 / (1 / 4), 1])
  t.end()
})

t.test('where all pixels count alike, sources are mixed within a batch', t => {
  const draw = batches(student, recipe(), [set(10, 1, 1 / 4), set(20, 1, 1 / 4)])
  const mixed = Array.from({ length: 50 }, (_, i) => new Set(greys(draw(createRng(i)).images)).size)
  t.ok(mixed.filter(size => size === 2).length > 45, `${mixed}`)
  t.end()
})

t.test('what follows from one seed follows from it again', t => {
  const sets = [set(10, 1, 1 / 4), set(20, 1, 1 / 2, { classBalance: 0 })]
  const [once, again] = [0, 1].map(() => batches(student, recipe(), sets))
  t.same(once(createRng('x')), again(createRng('x')))
  t.end()
})

t.test('only what was taken straight down is turned upside down, about half of it', t => {
  const turned = (nadir: boolean) => {
    const draw = batches(student, recipe({ batch: 100 }), [set(10, 1, 1 / 4, { nadir })])
    const { labels } = draw(createRng('nadir'))
    const size = width * height
    return Array.from({ length: 100 }, (_, i) => {
      const own = labels.subarray(i * size, (i + 1) * size)
      if (own.filter(label => label === 1).length !== size / 4) t.fail('labels are lost')
      return own[0] === 1
    }).filter(Boolean).length
  }
  t.equal(turned(false), 0)
  const count = turned(true)
  t.ok(count > 30 && count < 70, `${count} of 100`)
  t.end()
})
