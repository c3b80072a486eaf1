import { FarnebackFlow, FlowChain, type GreyImage, toGrey } from '@kestrel/evaluate'
import type { LabelMap } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import t from 'tap'

const width = 96
const height = 64

/** A smooth random texture, seen through a window that stands at (dx, dy). */
function texture(seed: number): (dx: number, dy: number) => GreyImage {
  const rng = createRng(seed)
  const waves = Array.from({ length: 12 }, () => [
    (rng.float() - 0.5) * 0.7,
    (rng.float() - 0.5) * 0.7,
    rng.float() * 7,
  ])
  return (dx, dy) => ({
    width,
    height,
    data: Uint8Array.from({ length: width * height }, (_, i) => {
      const [x, y] = [(i % width) + dx, Math.floor(i / width) + dy]
      return 128 + 9 * waves.reduce((sum, [kx, ky, phase]) => sum + Math.sin(kx * x + ky * y + phase), 0)
    }),
  })
}

t.test('flow finds a known shift', async t => {
  const flow = await FarnebackFlow.create()
  const view = texture(1)
  const field = flow.between(view(0, 0), view(3, -2))
  // from(x) = to(x + d): the window moved by (3, −2), so what was at x is now at x + (−3, 2).
  const middle = (c: number) => {
    const values: number[] = []
    for (let y = 16; y < height - 16; y++) {
      for (let x = 16; x < width - 16; x++) values.push(field.data[2 * (y * width + x) + c])
    }
    return values.sort((a, b) => a - b)[values.length >> 1]
  }
  t.ok(Math.abs(middle(0) + 3) < 0.3, `dx is ${middle(0)}`)
  t.ok(Math.abs(middle(1) - 2) < 0.3, `dy is ${middle(1)}`)
})

t.test('loading the library leaves no handlers of its own behind', async t => {
  await FarnebackFlow.create()
  t.notOk(process.listeners('unhandledRejection').some(listener => /abort/.test(String(listener))))
})

t.test('labels follow a scene that moves step by step', async t => {
  const flow = await FarnebackFlow.create()
  const view = texture(2)
  const chain = new FlowChain(width, height)
  for (let i = 1; i <= 4; i++) chain.advance(flow.between(view(2 * i, 0), view(2 * (i - 1), 0)))
  // Labels at twice the size of the flow: stripes of 16 pixels that have moved by 16 (8 at the flow's size).
  const labels = stripes(2 * width, 2 * height, 0)
  const expected = stripes(2 * width, 2 * height, 16)
  const moved = chain.warp(labels)
  let wrong = 0
  let counted = 0
  for (let y = 20; y < 2 * height - 20; y++) {
    for (let x = 40; x < 2 * width - 40; x++) {
      counted++
      if (moved.data[y * 2 * width + x] !== expected.data[y * 2 * width + x]) wrong++
    }
  }
  t.ok(wrong / counted < 0.1, `${wrong} of ${counted} pixels differ`)
  t.not(wrong, counted)
})

t.test('without motion labels stay exactly as they are, whatever the size of the flow', async t => {
  const rng = createRng(3)
  const labels = { width: 50, height: 37, data: Uint8Array.from({ length: 50 * 37 }, () => rng.int(5)) }
  for (const [w, h] of [
    [50, 37],
    [25, 18],
    [13, 11],
    [100, 74],
  ]) {
    const chain = new FlowChain(w, h)
    chain.advance({ width: w, height: h, data: new Float32Array(2 * w * h) })
    t.strictSame(chain.warp(labels).data, labels.data, `${w}x${h}`)
  }
})

t.test('a flow that points out of the picture ends at its border', async t => {
  const chain = new FlowChain(4, 2)
  chain.advance({ width: 4, height: 2, data: new Float32Array(16).fill(1e6) })
  const { data } = chain.warp({ width: 4, height: 2, data: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9) })
  t.strictSame([...data], [9, 9, 9, 9, 9, 9, 9, 9])
})

t.test('brightness follows BT.601', async t => {
  const image = { width: 3, height: 1, data: Uint8Array.of(255, 255, 255, 0, 0, 0, 0, 255, 0) }
  t.strictSame([...toGrey(image).data], [255, 0, 150])
})

function stripes(w: number, h: number, shift: number): LabelMap {
  const data = Uint8Array.from({ length: w * h }, (_, i) => Math.floor(((i % w) + shift) / 16) % 3)
  return { width: w, height: h, data }
}
