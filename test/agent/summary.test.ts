import { areaNames, clearGround, LabelSummary } from '@kestrel/agent'
import type { LabelMap } from '@kestrel/models'
import fc from 'fast-check'
import t from 'tap'

const whole = { left: 0, top: 0, right: 1, bottom: 1 }
const aerial8 = ['land', 'forest', 'residential', 'road', 'little-objects', 'water', 'sky', 'hill']

function draw(width: number, height: number, label: (x: number, y: number) => number): LabelMap {
  const data = Uint8Array.from({ length: width * height }, (_, i) => label(i % width, Math.floor(i / width)))
  return { width, height, data }
}

/** Label 0 is safe. */
const isSafe = Uint8Array.from({ length: 256 }, (_, label) => Number(label === 0))
const score = (map: LabelMap, window = whole) => clearGround(map, isSafe, window)

t.test('names have at most 10 characters, differ, and are those of the classes', async t => {
  t.same(areaNames(aerial8), [
    'a_land',
    'a_forest',
    'a_resident',
    'a_road',
    'a_little-o',
    'a_water',
    'a_sky',
    'a_hill',
  ])
  t.same(areaNames(['building-roof', 'building-wall', 'eau & forêt']), [
    'a_building',
    'a_buildin2',
    'a_eau_&_fo',
  ])
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 60 }), classes => {
      const names = areaNames(classes)
      return new Set(names).size === classes.length && names.every(name => /^[\x21-\x7e]{1,10}$/.test(name))
    }),
  )
})

t.test('areas are shares of the picture; the classes and their order can be chosen', async t => {
  const map = draw(8, 4, x => (x < 2 ? 0 : x < 7 ? 1 : 255))
  const values = new LabelSummary({ classes: ['land', 'forest', 'sky'], window: whole }).values(map)
  t.same(values.slice(0, 3), [
    { name: 'a_land', value: 2 / 8 },
    { name: 'a_forest', value: 5 / 8 },
    { name: 'a_sky', value: 0 },
  ])
  t.equal(values[3].name, 'clear_gnd')
  const some = new LabelSummary({
    classes: ['land', 'forest', 'sky'],
    areas: ['sky', 'forest'],
    window: whole,
  })
  t.same(some.values(map).slice(0, 2), [
    { name: 'a_sky', value: 0 },
    { name: 'a_forest', value: 5 / 8 },
  ])
  const many = Array.from({ length: 40 }, (_, i) => `class ${i}`)
  t.equal(new LabelSummary({ classes: many, window: whole }).values(map).length, 16, 'radios are narrow')
})

t.test('open ground is known by its name; without any there is no score', async t => {
  t.same(new LabelSummary({ classes: aerial8, window: whole }).safe, ['land'])
  t.same(new LabelSummary({ classes: ['Bare_soil', 'road', 'GRASS'], window: whole }).safe, [
    'Bare_soil',
    'GRASS',
  ])
  const city = new LabelSummary({ classes: ['road', 'car'], window: whole })
  t.notOk(city.values(draw(4, 4, () => 0)).some(({ name }) => name === 'clear_gnd'))
  const roads = new LabelSummary({ classes: ['road', 'car'], safe: ['road'], window: whole })
  t.same(roads.values(draw(4, 4, () => 0)).at(-1), { name: 'clear_gnd', value: 1 })
  t.throws(() => new LabelSummary({ classes: ['road', 'car'], safe: ['raod'], window: whole }), {
    name: 'UserError',
    message: /output\.summary\.safe names "raod".*road, car/,
  })
  t.throws(() => new LabelSummary({ classes: ['road'], areas: ['sea'], window: whole }), /summary\.areas/)
})

t.test('clear ground: 1 where all is safe, 0 where nothing is, a half where half of it is', async t => {
  t.equal(score(draw(12, 10, () => 0)), 1)
  t.equal(score(draw(12, 10, () => 1)), 0)
  t.equal(score(draw(12, 10, () => 255)), 0, 'what is not known is not clear')
  const half = score(draw(12, 10, x => Number(x >= 6)))
  t.ok(Math.abs(half - 0.5) < 1e-12)
})

t.test('what lies near the centre of the window counts more, what lies outside not at all', async t => {
  const blot = (cx: number, cy: number) =>
    draw(40, 30, (x, y) => Number(Math.abs(x - cx) < 3 && Math.abs(y - cy) < 3))
  t.ok(score(blot(20, 15)) < score(blot(8, 15)))
  t.ok(score(blot(8, 15)) < score(blot(4, 4)))
  const below = { left: 0.25, top: 0.5, right: 0.75, bottom: 1 }
  t.equal(
    score(
      draw(40, 30, (x, y) => Number(y < 15 || x < 10 || x >= 30)),
      below,
    ),
    1,
  )
  t.ok(score(blot(20, 25), below) < 1)
})

t.test(
  'the formula, added up the slow way; never outside 0..1; more safe pixels are never less',
  async () => {
    const edges = fc
      .tuple(fc.integer({ min: 0, max: 99 }), fc.integer({ min: 1, max: 100 }))
      .map(([from, length]) => [from / 100, Math.min(1, (from + length) / 100)])
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 30 }),
        edges,
        edges,
        fc.infiniteStream(fc.nat({ max: 3 })),
        (width, height, [left, right], [top, bottom], stream) => {
          const map = draw(width, height, () => stream.next().value as number)
          const window = { left, top, right, bottom }
          const found = score(map, window)
          let [clear, all] = [0, 0]
          for (let y = 0; y < height; y++) {
            for (let x = 0; x < width; x++) {
              const u = Math.abs((x + 0.5) / width - (left + right) / 2) / ((right - left) / 2)
              const v = Math.abs((y + 0.5) / height - (top + bottom) / 2) / ((bottom - top) / 2)
              // Rounding decides whether a pixel on the very edge is inside, at a hundredth of the weight.
              if (u > 1 + 1e-9 || v > 1 + 1e-9) continue
              const weight = Math.max(0.01, 1 - u) * Math.max(0.01, 1 - v)
              all += weight
              if (map.data[y * width + x] === 0) clear += weight
            }
          }
          if (!(found >= 0 && found <= 1)) throw new Error(`${found}`)
          if (all > 0.5 && Math.abs(found - clear / all) > 0.05)
            throw new Error(`${found}, slowly ${clear / all}`)
          const cleared = { ...map, data: map.data.map(label => (label === 1 ? 0 : label)) }
          return score(cleared, window) >= found - 1e-12
        },
      ),
      { numRuns: 500 },
    )
  },
)
