import { resizeLabels, toPlanar } from '@kestrel/models'
import fc from 'fast-check'
import t from 'tap'

t.test('planes come one after the other', async t => {
  const image = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }
  t.same(toPlanar(image), Uint8Array.of(1, 4, 2, 5, 3, 6))
  t.throws(() => toPlanar({ ...image, width: 3 }), RangeError)
})

t.test('labels are resized to the nearest pixel centre', async t => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 20 }),
      (w, h, width, height) => {
        const map = { width: w, height: h, data: Uint8Array.from({ length: w * h }, (_, i) => i) }
        const resized = resizeLabels(map, width, height)
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            const from = resized.data[y * width + x]
            // The centre of the output pixel lies within the input pixel that it was taken from.
            const within = (at: number, pixel: number) => Math.abs(at - pixel - 0.5) <= 0.5 + 1e-9
            t.ok(
              within(((x + 0.5) * w) / width, from % w) &&
                within(((y + 0.5) * h) / height, Math.floor(from / w)),
            )
          }
        }
      },
    ),
    { numRuns: 30 },
  )
  const map = { width: 3, height: 2, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }
  t.equal(resizeLabels(map, 3, 2), map)
  t.same(resizeLabels(resizeLabels(map, 9, 4), 3, 2), map)
})
