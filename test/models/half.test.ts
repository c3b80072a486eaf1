import { halfValues, isFiniteHalf, toHalf } from '@kestrel/models'
import { Float16Array, setFloat16 } from '@petamoriken/float16'
import fc from 'fast-check'
import t from 'tap'

const view = new DataView(new ArrayBuffer(2))
function oracle(value: number): number {
  setFloat16(view, 0, value)
  return view.getUint16(0)
}

t.test('every half has the value that the standard gives it', async t => {
  const expected = new Float16Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer)
  let wrong = 0
  halfValues().forEach((value, bits) => {
    if (!Object.is(value, expected[bits])) wrong++
    if (Number.isFinite(value) !== isFiniteHalf(bits)) wrong++
    if (!Number.isNaN(value) && toHalf(value) !== bits) wrong++
  })
  t.equal(wrong, 0)
})

t.test('rounding is to nearest, ties to even, in every range', async t => {
  fc.assert(
    fc.property(fc.float({ noNaN: true }), value => toHalf(value) === oracle(value)),
    { numRuns: 20000 },
  )
  let wrong = 0
  const values = halfValues()
  // The middle between each two neighbours, and the floats next to it on both sides.
  for (let bits = 0; bits < 0x7bff; bits++) {
    const middle = (values[bits] + values[bits + 1]) / 2
    for (const value of [middle, middle * (1 + 2 ** -23), middle * (1 - 2 ** -23)]) {
      const float = Math.fround(value)
      if (toHalf(float) !== oracle(float) || toHalf(-float) !== oracle(-float)) wrong++
    }
  }
  t.equal(wrong, 0)
})

t.test('the ends of the range', async t => {
  t.equal(toHalf(65504), 0x7bff)
  t.equal(toHalf(65519.99), 0x7bff)
  t.equal(toHalf(65520), 0x7c00)
  t.equal(toHalf(-1e30), 0xfc00)
  t.equal(toHalf(2 ** -24), 1)
  t.equal(toHalf(2 ** -25), 0)
  t.equal(toHalf(-0), 0x8000)
  t.notOk(isFiniteHalf(toHalf(Number.NaN)))
})
