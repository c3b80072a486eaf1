import { SegmentEncoder, Segmenter, sampledSize } from '@kestrel/agent'
import { decodeSegment, VideoCodec } from '@kestrel/link'
import fc from 'fast-check'
import t from 'tap'
import { testImage } from './support.js'

const settings = { codec: 'h264', uplinkKbps: 200, periodS: 10, width: 64, height: 32 } as const

function frame(i: number, width = 64, height = 32) {
  return { id: i, captureMs: 1000 * i + 0.25, sourceIndex: 10 * i, image: testImage(i, width, height) }
}

t.test('a segment says which frames it holds and its video gives them back', async t => {
  const segmenter = new Segmenter(settings)
  for (let i = 1; i <= 5; i++) segmenter.add(frame(i, 128, 64))
  const segment = await segmenter.flush(11_000, 7)
  if (segment === undefined) return t.fail('no segment')
  t.match(segment, { sequence: 1n, codec: VideoCodec.H264, width: 64, height: 32, modelVersion: 7 })
  t.equal(segment.beginUs, 1_000_250n)
  t.equal(segment.endUs, 11_000_000n)
  t.same(
    segment.frames.map(({ frameId, captureUs, sourceIndex }) => [frameId, captureUs, sourceIndex]),
    [1, 2, 3, 4, 5].map(i => [BigInt(i), BigInt(i) * 1_000_000n + 250n, BigInt(10 * i)]),
  )
  const images = await decodeSegment(segment.video, { codec: 'h264', width: 64, height: 32, frames: 5 })
  t.equal(images.length, 5)
  segmenter.dispose()
})

t.test('narrow pictures, which HEVC cannot take, are sent in H.264', async t => {
  const segmenter = new Segmenter({ ...settings, codec: 'hevc' })
  for (let i = 1; i <= 3; i++) segmenter.add(frame(i))
  const segment = await segmenter.flush(4000, 7)
  t.equal(segment?.codec, VideoCodec.H264)
  const images = await decodeSegment(segment!.video, { codec: 'h264', width: 64, height: 32, frames: 3 })
  t.equal(images.length, 3)
  segmenter.dispose()
})

t.test('frames that come while a segment is being encoded belong to the next one', async t => {
  let release = () => {}
  const gate = new Promise<void>(resolve => {
    release = resolve
  })
  const encode = async () => {
    await gate
    return new Uint8Array(1)
  }
  const segmenter = new Segmenter({ ...settings, encode })
  segmenter.add(frame(1))
  const first = segmenter.flush(2000)
  segmenter.add(frame(2))
  release()
  t.same(
    (await first)?.frames.map(({ frameId }) => frameId),
    [1n],
  )
  const second = await segmenter.flush(3000)
  t.same(
    second?.frames.map(({ frameId }) => frameId),
    [2n],
  )
  t.equal(second?.sequence, 2n)
  t.equal(second?.beginUs, 2_000_000n)
  t.equal(await segmenter.flush(4000), undefined, 'nothing sampled, nothing sent')
})

t.test('the budget of a segment lasts as long as its window, at most T_update', async t => {
  const asked: number[] = []
  const encode = async (_: unknown, options: { durationS: number; targetKbps: number }) => {
    asked.push(options.durationS, options.targetKbps)
    return new Uint8Array(1)
  }
  const segmenter = new Segmenter({ ...settings, encode })
  segmenter.add(frame(1))
  await segmenter.flush(11_000.25)
  segmenter.add(frame(12))
  segmenter.configure({ uplinkKbps: 50, periodS: 20 })
  await segmenter.flush(14_000.25)
  segmenter.add(frame(15))
  await segmenter.flush(100_000)
  t.same(asked, [10, 200, 3, 50, 20, 50])
})

t.test('a segment is bounded: the oldest frames go, and are counted', async t => {
  let encoded = 0
  const encode = async (images: unknown[]) => {
    encoded = images.length
    return new Uint8Array(1)
  }
  const segmenter = new Segmenter({ ...settings, encode, maxFrames: 3 })
  for (let i = 1; i <= 5; i++) segmenter.add(frame(i))
  t.equal(segmenter.dropped, 2)
  const segment = await segmenter.flush(6000)
  t.equal(encoded, 3)
  t.same(
    segment?.frames.map(({ frameId }) => frameId),
    [3n, 4n, 5n],
  )
})

t.test('a frame may be overwritten once it was taken', async t => {
  let seen: Uint8Array | undefined
  const encode = async ([image]: { data: Uint8Array }[]) => {
    seen = image.data.slice()
    return new Uint8Array(1)
  }
  const segmenter = new Segmenter({ ...settings, encode })
  const { image, ...rest } = frame(1)
  const before = image.data.slice()
  segmenter.add({ ...rest, image })
  image.data.fill(0)
  await segmenter.flush(2000)
  t.same(seen, before)
})

t.test(
  'sampled frames have twice the size of the student where the camera has it, and even sides',
  async () => {
    const side = fc.integer({ min: 2, max: 4000 })
    fc.assert(
      fc.property(side, side, side, side, (cw, ch, sw, sh) => {
        const { width, height } = sampledSize({ width: cw, height: ch }, { width: sw, height: sh })
        const fits = (pixels: number, camera: number, student: number) =>
          pixels % 2 === 0 &&
          pixels <= camera &&
          pixels <= 2 * student &&
          pixels >= Math.min(camera, 2 * student) - 1
        return fits(width, cw, sw) && fits(height, ch, sh)
      }),
    )
  },
)

t.test('the encoding thread gives what the function gives, and says why it cannot', async t => {
  const encoder = new SegmentEncoder()
  t.teardown(() => encoder.stop())
  const options = { codec: 'h264', targetKbps: 200, durationS: 3 } as const
  const images = [1, 2, 3].map(i => testImage(i))
  const { encodeSegment } = await import('@kestrel/link')
  const expected = await encodeSegment(
    images.map(image => ({ ...image, data: image.data.slice() })),
    options,
  )
  t.same(await encoder.encode(images, options), expected)
  await t.rejects(encoder.encode([], options))
  const again = await encoder.encode([testImage(4)], options)
  t.ok(again.length > 0, 'a failure is not the end')
  await encoder.stop()
  await t.rejects(encoder.encode([testImage(5)], options), /stopped/)
})
