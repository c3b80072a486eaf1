import { ConfusionMatrix, IGNORE } from '@kestrel/models'
import fc from 'fast-check'
import t from 'tap'

const CLASSES = 4
const label = fc.oneof(fc.nat(CLASSES - 1), fc.constant(IGNORE))
const maps = fc.array(fc.tuple(label, label), { maxLength: 60 })

/** IoU from sets of pixels, without a matrix. */
function naive(pairs: [number, number][]): { iou: (number | undefined)[]; miou: number | undefined } {
  const labelled = pairs.filter(([truth]) => truth !== IGNORE)
  const iou = Array.from({ length: CLASSES }, (_, k) => {
    const union = labelled.filter(([truth, found]) => truth === k || found === k).length
    return union === 0
      ? undefined
      : labelled.filter(([truth, found]) => truth === k && found === k).length / union
  })
  const present = iou.filter((_, k) => labelled.some(([truth]) => truth === k)) as number[]
  return { iou, miou: present.length ? present.reduce((a, b) => a + b) / present.length : undefined }
}

function matrix(pairs: [number, number][]): ConfusionMatrix {
  const result = new ConfusionMatrix(CLASSES)
  result.add(
    Uint8Array.from(pairs, pair => pair[0]),
    Uint8Array.from(pairs, pair => pair[1]),
  )
  return result
}

t.test('IoU is that of the sets of pixels', async t => {
  fc.assert(
    fc.property(maps, pairs => {
      const expected = naive(pairs)
      const found = matrix(pairs)
      t.same(found.iou(), expected.iou)
      const miou = found.miou()
      if (expected.miou === undefined) t.equal(miou, undefined)
      else t.ok(Math.abs(miou! - expected.miou) < 1e-12)
    }),
  )
})

t.test('a sliding window is what its maps give together', async t => {
  fc.assert(
    fc.property(maps, maps, maps, (first, second, third) => {
      const window = matrix(first)
      window.addMatrix(matrix(second))
      window.addMatrix(matrix(third))
      window.subtractMatrix(matrix(first))
      t.same(window, matrix([...second, ...third]))
    }),
  )
})

t.test(
  'labels that are no class, and maps of different sizes, are refused and leave the counts alone',
  async t => {
    const found = matrix([[1, 1]])
    t.throws(() => found.add(Uint8Array.of(1, 9), Uint8Array.of(1, 1)), RangeError)
    t.throws(() => found.add(Uint8Array.of(1, 1), Uint8Array.of(1, 4)), RangeError)
    t.throws(() => found.add(Uint8Array.of(1), Uint8Array.of(1, 1)), RangeError)
    t.throws(() => found.addMatrix(new ConfusionMatrix(3)), RangeError)
    t.same(found, matrix([[1, 1]]))
  },
)
