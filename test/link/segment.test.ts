import {
  codecFor,
  decodeSegment,
  decodeStill,
  encodeSegment,
  MessageRefused,
  type SegmentCodec,
} from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import fc from 'fast-check'
import t from 'tap'
import { needs, sharedPath } from '../support/shared.js'
import { movingScene, plain, psnr } from './pictures.js'

const codecs: SegmentCodec[] = ['h264', 'hevc', 'av1']
const scene = Array.from({ length: 8 }, (_, i) => movingScene(i, 192, 128))

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof MessageRefused) return error.reason
    throw error
  }
  return 'taken'
}

for (const codec of codecs) {
  t.test(`${codec} keeps number, order and content`, async t => {
    const bytes = await encodeSegment(scene, { codec, targetKbps: 200, durationS: 10 })
    const decoded = await decodeSegment(bytes, { codec, width: 192, height: 128, frames: scene.length })
    t.equal(decoded.length, scene.length)
    for (const [i, image] of decoded.entries()) {
      const likeness = scene.map(original => psnr(original, image))
      t.equal(likeness.indexOf(Math.max(...likeness)), i, `picture ${i} is in its place`)
      t.ok(likeness[i] > 33, `picture ${i} at ${likeness[i].toFixed(1)} dB`)
    }
    const again = await encodeSegment(scene, { codec, targetKbps: 200, durationS: 10 })
    t.ok(Buffer.from(bytes).equals(again), 'the same frames give the same bytes')
  })

  t.test(`${codec} holds its budget, and quality grows with it`, async t => {
    let previous = 0
    for (const targetKbps of [4, 8, 16]) {
      const bytes = await encodeSegment(scene, { codec, targetKbps, durationS: 10 })
      const decoded = await decodeSegment(bytes, { codec, width: 192, height: 128, frames: scene.length })
      const quality = decoded.reduce((sum, image, i) => sum + psnr(scene[i], image), 0) / scene.length
      t.ok(bytes.length <= targetKbps * 1250, `${bytes.length} bytes of ${targetKbps * 1250}`)
      t.ok(bytes.length > 0.75 * targetKbps * 1250, 'and uses it')
      t.ok(quality > previous, `${quality.toFixed(1)} dB`)
      previous = quality
    }
  })

  t.test(`${codec} takes a single frame, small frames and plain ones`, async t => {
    const one = await encodeSegment([scene[3]], { codec, targetKbps: 200, durationS: 10 })
    t.ok(one.length < 25_000, `a single frame does not spend the budget (${one.length} bytes)`)
    const [image] = await decodeSegment(one, { codec, width: 192, height: 128, frames: 1 })
    t.ok(psnr(scene[3], image) > 33)
    const width = codec === 'hevc' ? 66 : 34
    t.equal(codecFor(codec, width), codec)
    const small = [0, 1, 2].map(i => movingScene(i, width, 36))
    const bytes = await encodeSegment(small, { codec, targetKbps: 200, durationS: 1 })
    t.equal((await decodeSegment(bytes, { codec, width, height: 36, frames: 3 })).length, 3)
  })

  t.test(`${codec} keeps colours within a few levels`, async t => {
    const colours: [number, number, number][] = [
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
      [255, 255, 255],
      [0, 0, 0],
      [128, 128, 128],
      [200, 120, 40],
      [30, 90, 160],
    ]
    const images = colours.map(colour => plain(96, 64, colour))
    const bytes = await encodeSegment(images, { codec, targetKbps: 400, durationS: 10 })
    const decoded = await decodeSegment(bytes, { codec, width: 96, height: 64, frames: images.length })
    for (const [i, { data }] of decoded.entries()) {
      const middle = 3 * (32 * 96 + 48)
      const found = [...data.subarray(middle, middle + 3)]
      const worst = Math.max(...found.map((value, c) => Math.abs(value - colours[i][c])))
      t.ok(worst <= 6, `${colours[i]} came back as ${found}`)
    }
  })

  t.test(`${codec}: what is not as declared is refused`, async t => {
    const bytes = await encodeSegment(scene, { codec, targetKbps: 50, durationS: 10 })
    const declared = { codec, width: 192, height: 128, frames: scene.length }
    const decode = (value: Uint8Array, change: object) =>
      refusal(decodeSegment(value, { ...declared, ...change }))
    t.equal(await decode(bytes, { frames: 7 }), 'wrong-count')
    t.equal(await decode(bytes, { frames: 9 }), 'wrong-count')
    t.equal(await decode(bytes, { frames: 0 }), 'wrong-count')
    t.equal(await decode(bytes, { frames: 1e9 }), 'wrong-count')
    t.equal(await decode(bytes, { width: 190 }), 'wrong-size')
    t.equal(await decode(bytes, { width: 1e6 }), 'wrong-size')
    t.match(await decode(bytes, { width: 64, height: 64 }), /undecodable|wrong-size/)
    t.equal(await decode(bytes, { maxBytes: 100 }), 'too-big')
    t.equal(await decode(bytes, { codec: 'vp9' }), 'wrong-codec')
    for (const other of codecs)
      if (other !== codec) t.not(await decode(bytes, { codec: other }), 'taken', other)
    // Larger pictures than declared fail in the decoder (undecodable), before one is allocated, not after (wrong-size).
    const large = await encodeSegment([plain(1024, 512, [9, 99, 9])], {
      codec,
      targetKbps: 100,
      durationS: 10,
    })
    t.equal(await decode(large, { width: 64, height: 64, frames: 1 }), 'undecodable')
  })

  t.test(`${codec}: damaged and hostile bytes are refused, and nothing else happens`, async t => {
    const bytes = await encodeSegment(scene.slice(0, 3), { codec, targetKbps: 20, durationS: 1 })
    const declared = { codec, width: 192, height: 128, frames: 3 }
    let refused = 0
    const attempt = async (value: Uint8Array) => {
      if ((await refusal(decodeSegment(value, declared))) !== 'taken') refused += 1
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), length => attempt(bytes.subarray(0, length))),
      { numRuns: 60 },
    )
    t.ok(refused > 30, `${refused} of 60 cut ones refused`)
    refused = 0
    const changes = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(changes, places => {
        const changed = bytes.slice()
        for (const [at, value] of places) changed[at] = value
        return attempt(changed)
      }),
      { numRuns: 200 },
    )
    t.ok(refused > 0, `${refused} of 200 altered ones refused`)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async value => {
        t.not(await refusal(decodeSegment(value, declared)), 'taken')
      }),
      { numRuns: 100 },
    )
    // Pieces of real streams in any order, twice or left out.
    const piece = fc.tuple(fc.nat(bytes.length), fc.nat(bytes.length))
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), pieces =>
        attempt(Buffer.concat(pieces.map(([a, b]) => bytes.subarray(Math.min(a, b), Math.max(a, b))))),
      ),
      { numRuns: 60 },
    )
    const [image] = await decodeSegment(bytes, declared)
    t.ok(psnr(image, scene[0]) > 25, 'and the whole one is still read')
  })
}

t.test('what cannot be encoded', async t => {
  const options = { codec: 'h264', targetKbps: 100, durationS: 10 } as const
  await t.rejects(encodeSegment([], options), RangeError)
  await t.rejects(encodeSegment([plain(63, 64, [0, 0, 0])], options), /even/)
  await t.rejects(encodeSegment([scene[0], plain(64, 64, [0, 0, 0])], options), /one size/)
  await t.rejects(encodeSegment(scene, { ...options, targetKbps: 0 }), /no bytes/)
  await t.rejects(encodeSegment([{ ...scene[0], width: 190 }], options), RangeError, 'a picture that lies')
})

const camvid = sharedPath('data/camvid/0001TP/frames')
t.test('ten real frames at 200 kbit/s over 10 s', needs(camvid), async t => {
  const names = Array.from({ length: 10 }, (_, i) => `${camvid}/${String(i + 10).padStart(4, '0')}.jpg`)
  const images: RgbImage[] = []
  for (const name of names) images.push(await decodeStill(name))
  for (const codec of codecs) {
    const bytes = await encodeSegment(images, { codec, targetKbps: 200, durationS: 10 })
    t.ok(bytes.length <= 250_000, `${codec}: ${bytes.length} bytes`)
    const decoded = await decodeSegment(bytes, { codec, width: 480, height: 360, frames: 10 })
    const worst = Math.min(...decoded.map((image, i) => psnr(images[i], image)))
    t.ok(worst > 35, `${codec}: ${worst.toFixed(1)} dB at least`)
  }
})

t.test('no picture goes to an encoder that cannot take it', async t => {
  const narrow = { codec: 'hevc', targetKbps: 200, durationS: 1 } as const
  await t.rejects(encodeSegment([movingScene(0, 64, 128)], narrow), {
    message: /66 pixels wide or more; found 64x128/,
  })
  t.same([codecFor('hevc', 64), codecFor('hevc', 66), codecFor('av1', 32)], ['h264', 'hevc', 'av1'])
})
