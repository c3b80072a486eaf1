import { Adam } from '@kestrel/ground-station'
import fc from 'fast-check'
import t from 'tap'

/** Algorithm 2 of arXiv 2006.06628 for one coordinate, in double precision, over a sequence of gradients. */
function trajectory(gradients: number[], { alpha = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = {}) {
  let [m, v, w] = [0, 0, 0]
  return gradients.map((g, step) => {
    const i = step + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g ** 2
    const u = ((alpha * Math.sqrt(1 - beta2 ** i)) / (1 - beta1 ** i)) * (m / Math.sqrt(v + epsilon))
    w -= u
    return { u, w }
  })
}

const close = (a: number, b: number) => Math.abs(a - b) <= 1e-5 * Math.abs(b) + 1e-9

t.test('The first step is α in the direction of the gradient, for gradients well above √ε', async t => {
  const adam = new Adam(2, { alpha: 0.01 })
  const w = Float32Array.of(1, 1)
  adam.step(w, Float32Array.of(5, -0.5))
  // By hand: m = 0.5, v = 0.025; 0.01 · √0.001/0.1 · 0.5/√0.025 = 0.01.
  t.ok(close(w[0], 0.99), 'down by α')
  t.ok(close(w[1], 1.01), 'up by α')
})

t.test('ε is inside the root: a gradient of 1e-4 gives much less than α', async t => {
  const adam = new Adam(1)
  const [u] = adam.step(Float32Array.of(0), Float32Array.of(1e-4))
  // By hand: m = 1e-5, v = 1e-11, √(v + 1e-8) = 1.00050e-4; 1e-3 · 0.316228 · 1e-5/1.00050e-4 = 3.1607e-5.
  t.ok(Math.abs(u - 3.1607e-5) < 1e-8, `${u}`)
})

t.test('Steps follow the formula', async t => {
  const options = fc.record({
    alpha: fc.constantFrom(1e-3, 0.1),
    beta1: fc.constantFrom(0.9, 0.5),
    beta2: fc.constantFrom(0.999, 0.9),
    epsilon: fc.constantFrom(1e-8, 1e-3),
  })
  const gradients = fc.array(fc.float({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(options, gradients, (chosen, sequence) => {
      const adam = new Adam(1, chosen)
      const w = Float32Array.of(0)
      const expected = trajectory(sequence, chosen)
      return sequence.every((g, i) => {
        const [u] = adam.step(w, Float32Array.of(g))
        return (
          Math.abs(u - expected[i].u) <= 1e-4 * chosen.alpha &&
          Math.abs(w[0] - expected[i].w) <= 1e-3 * chosen.alpha
        )
      })
    }),
  )
  t.pass('for all sequences')
})

t.test('Moments advance everywhere, parameters move where chosen', async t => {
  const gradient = Float32Array.of(1, -2, 3, -4)
  const all = new Adam(4)
  const some = new Adam(4)
  const same = new Adam(4)
  const [whole, masked, indexed] = [new Float32Array(4), new Float32Array(4), new Float32Array(4)]
  for (let i = 0; i < 3; i++) {
    const u = Float32Array.from(all.step(whole, gradient))
    t.strictSame([...some.step(masked, gradient, Uint8Array.of(0, 1, 0, 1))], [...u], 'u is of all')
    t.strictSame([...same.step(indexed, gradient, Uint32Array.of(1, 3))], [...u])
  }
  t.strictSame([...some.m], [...all.m])
  t.strictSame([...some.v], [...all.v])
  t.strictSame([...masked], [0, whole[1], 0, whole[3]])
  t.strictSame([...indexed], [...masked])
})

t.test('Vectors of another length are refused before anything changes', async t => {
  const adam = new Adam(3)
  t.throws(() => adam.step(new Float32Array(2), new Float32Array(3)), RangeError)
  t.throws(() => adam.step(new Float32Array(3), new Float32Array(4)), RangeError)
  t.throws(() => adam.step(new Float32Array(3), new Float32Array(3), new Uint8Array(2)), RangeError)
  t.equal(adam.i, 0)
})
