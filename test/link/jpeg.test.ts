import { decodeStillBytes, encodeJpeg } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import { test } from 'tap'

/** Smooth areas in strong colours: what a wrong matrix or range would shift. */
function bars(width: number, height: number): RgbImage {
  const colours = [
    [255, 255, 255],
    [200, 30, 40],
    [30, 160, 60],
    [20, 40, 200],
    [0, 0, 0],
  ]
  const data = new Uint8Array(3 * width * height)
  for (let i = 0; i < width * height; i++)
    data.set(colours[Math.floor(((i % width) * colours.length) / width)], 3 * i)
  return { width, height, data }
}

test('a JPEG is the picture, colours and range included', async t => {
  for (const [width, height] of [
    [320, 180],
    [101, 57],
  ]) {
    const image = bars(width, height)
    const bytes = await encodeJpeg(image, { quantiser: 2 })
    const { data, ...size } = decodeStillBytes(bytes)
    t.same(size, { width, height })
    // In the middle of each bar, away from the edges that halved chroma blurs. A wrong matrix or range is off by 16 and more.
    for (let bar = 0; bar < 5; bar++) {
      const at = 3 * (Math.floor(height / 2) * width + Math.floor(((bar + 0.5) * width) / 5))
      for (let c = 0; c < 3; c++) t.ok(Math.abs(data[at + c] - image.data[at + c]) <= 4)
    }
  }
})

test('the quantiser trades bytes for likeness', async t => {
  const image = bars(320, 180)
  for (let i = 0; i < image.data.length; i++) image.data[i] ^= (i * 7919) % 61
  const fine = await encodeJpeg(image, { quantiser: 2 })
  const coarse = await encodeJpeg(image, { quantiser: 20 })
  t.ok(coarse.length < 0.6 * fine.length, `${coarse.length} against ${fine.length} bytes`)
})
