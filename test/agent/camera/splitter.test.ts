import assert from 'node:assert/strict'
import { JpegSplitter, RawSplitter } from '@kestrel/agent'
import { decodeStillBytes } from '@kestrel/link'
import fc from 'fast-check'
import t from 'tap'
import { jpegs } from './jpegs.js'

const small = jpegs(3)

/** The bytes in pieces that end at the cuts. */
function pieces(bytes: Uint8Array, cuts: number[]): Uint8Array[] {
  const ends = [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...ends, bytes.length].map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
}

function split(splitter: { push(piece: Uint8Array): Uint8Array[] }, parts: Uint8Array[]): Buffer[] {
  return parts.flatMap(part => splitter.push(part)).map(picture => Buffer.from(picture))
}

t.test('raw pictures come out of a stream cut anywhere', async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.nat()),
      (bytes, size, cuts) => {
        const found = split(new RawSplitter(size), pieces(bytes, cuts))
        const expected = Array.from({ length: Math.floor(bytes.length / size) }, (_, i) =>
          Buffer.from(bytes.subarray(i * size, (i + 1) * size)),
        )
        assert.deepEqual(found, expected)
      },
    ),
  )
})

t.test('JPEGs come out of a stream cut anywhere, with anything between them that is no JPEG', async t => {
  // No beginning of a picture in it: bytes below FF, as in the headers of a multipart stream.
  const rubbish = fc.uint8Array({ max: 0xfe, maxLength: 40 })
  const part = fc.tuple(rubbish, fc.nat(small.length - 1))
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 12 }), (parts, cuts) => {
      const stream = Buffer.concat(parts.flatMap(([between, which]) => [between, small[which]]))
      const splitter = new JpegSplitter()
      const found = split(splitter, pieces(stream, cuts))
      assert.deepEqual(
        found,
        parts.map(([, which]) => small[which]),
      )
      assert.equal(
        splitter.skipped,
        parts.reduce((sum, [between]) => sum + between.length, 0),
      )
    }),
  )
  const bytewise = Buffer.concat(small)
  t.strictSame(split(new JpegSplitter(), pieces(bytewise, [...bytewise.keys()])), small)
})

t.test('a thumbnail inside a picture is a part of it', async t => {
  // APP1 with a whole JPEG inside, as EXIF has it, and a comment that looks like the end.
  const [outer, inner] = small
  const segment = (marker: number, body: Uint8Array) => {
    const head = Buffer.of(0xff, marker, 0, 0)
    head.writeUInt16BE(body.length + 2, 2)
    return Buffer.concat([head, body])
  }
  const picture = Buffer.concat([
    outer.subarray(0, 2),
    segment(0xe1, inner),
    segment(0xfe, Buffer.of(0xff, 0xd9, 0xff, 0xd8, 0xff)),
    Buffer.of(0xff, 0xff),
    outer.subarray(2),
  ])
  t.strictSame(split(new JpegSplitter(), [Buffer.concat([picture, small[2]])]), [picture, small[2]])
  t.equal(decodeStillBytes(picture).width, decodeStillBytes(outer).width)
})

t.test('a picture that was cut short is left out, and those after it are found', async t => {
  const [first, second, third] = small
  // A cut inside a segment may hide what follows, but for no longer than a segment can be.
  const later = Array<Buffer>(Math.ceil(65_600 / third.length) + 2).fill(third)
  fc.assert(
    fc.property(
      fc.integer({ min: 3, max: first.length - 1 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      (length, cuts) => {
        const stream = Buffer.concat([first.subarray(0, length), second, ...later])
        const found = split(new JpegSplitter(), pieces(stream, cuts))
        assert.ok(found.at(-1)?.equals(third), `cut at ${length}`)
        assert.ok(found.slice(1).every(picture => picture.equals(third)))
      },
    ),
  )
  // In the pixels, where nearly all of a camera's bytes are, nothing more than the cut picture is lost.
  const found = split(new JpegSplitter(), [
    Buffer.concat([first.subarray(0, first.length - 5), second, third]),
  ])
  t.strictSame(found, [second, third])
})

t.test('rubbish never makes it fail, nor hold more and more', async t => {
  const bytes = fc.uint8Array({ maxLength: 300 })
  const marked = fc.array(fc.constantFrom(0xff, 0xd8, 0xd9, 0xda, 0xe1, 0x00, 0x02, 0xd0), { maxLength: 300 })
  fc.assert(
    fc.property(
      fc.oneof(
        bytes,
        marked.map(list => Uint8Array.from(list)),
      ),
      fc.array(fc.nat(), { maxLength: 8 }),
      (noise, cuts) => {
        const whole = split(new JpegSplitter(), [noise])
        assert.deepEqual(split(new JpegSplitter(), pieces(noise, cuts)), whole, 'cuts change nothing')
      },
    ),
    { numRuns: 500 },
  )
  const splitter = new JpegSplitter()
  splitter.push(small[0].subarray(0, 200))
  const zeros = new Uint8Array(1024 * 1024)
  for (let i = 0; i < 40; i++) t.same(splitter.push(zeros), [])
  t.ok(splitter.skipped > 8 * 1024 * 1024, 'an endless picture is given up')
  t.strictSame(split(splitter, [small[1]]), [small[1]])
})
