import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeHello, LabelEncoder, type Labels, PREFIX_BYTES } from '@kestrel/agent'
import fc from 'fast-check'
import t from 'tap'
import { readMessage, streamMessages } from '../support/label-reader.js'

const labels = (width: number, height: number, data: Uint8Array): Labels => ({
  sequence: 7,
  frameId: 42,
  captureMs: 1000,
  modelVersion: 3,
  latencyMs: 10,
  classes: 2,
  map: { width, height, data },
})

t.test('the example in the document, byte by byte', async t => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/label-output.md'), 'utf8')
  const block = /as the Unix socket carries it:\s+```\n([\s\S]*?)```/.exec(page)![1]
  const hex = block.split('\n').map(line => line.split('    ')[0])
  const expected = Buffer.from(hex.join('').replaceAll(' ', ''), 'hex')
  t.equal(expected.length, 60)
  const encoded = new LabelEncoder().encode(labels(4, 2, Uint8Array.of(0, 1, 1, 1, 1, 1, 1, 1)))
  t.same(Buffer.from(encoded), expected)
})

/** Label maps with runs of all lengths, also such as need one, two and three bytes. */
const maps = fc
  .tuple(
    fc.integer({ min: 1, max: 300 }),
    fc.integer({ min: 1, max: 120 }),
    fc.array(
      fc.tuple(
        fc.integer({ min: 0, max: 255 }),
        fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constantFrom(127, 128, 129, 16_383, 16_384, 16_385)),
      ),
      { minLength: 1, maxLength: 60 },
    ),
  )
  .map(([width, height, runs]) => {
    const data = new Uint8Array(width * height)
    for (let at = 0, run = 0; at < data.length; run++) {
      const [label, length] = runs[run % runs.length]
      data.fill(label, at, at + length)
      at += length
    }
    return { width, height, data }
  })

t.test('whatever the labels are, they come out as they went in, with one encoder for all', async () => {
  const encoder = new LabelEncoder()
  fc.assert(
    fc.property(maps, fc.integer({ min: 0, max: 2 ** 53 - 1 }), (map, frameId) => {
      const encoded = encoder.encode({ ...labels(map.width, map.height, map.data), frameId })
      const [bytes, ...more] = streamMessages().add(encoded)
      if (more.length > 0 || encoded.length !== PREFIX_BYTES + bytes.length)
        throw new Error('not one message')
      const message = readMessage(bytes)
      if (message.kind !== 'labels') throw new Error('not labels')
      const changes = map.data.filter((label, i) => i === 0 || label !== map.data[i - 1]).length
      if (message.runs !== changes)
        throw new Error(`${message.runs} runs where the label changes ${changes} times`)
      return (
        message.frameId === frameId &&
        message.width === map.width &&
        message.height === map.height &&
        Buffer.compare(message.map, map.data) === 0
      )
    }),
    { numRuns: 300 },
  )
})

t.test('the worst labels, a run each, need two bytes a pixel', async t => {
  const data = Uint8Array.from({ length: 64 * 48 }, (_, i) => i % 2)
  const encoded = new LabelEncoder().encode(labels(64, 48, data))
  t.equal(encoded.length, PREFIX_BYTES + 52 + 2 * data.length)
  t.match(readMessage(encoded.subarray(PREFIX_BYTES)), { map: data })
})

t.test('a message is no view of the next one; odd times are no reason to fail', async t => {
  const encoder = new LabelEncoder()
  const first = encoder.encode(labels(2, 2, Uint8Array.of(0, 0, 1, 1)))
  const kept = Buffer.from(first)
  encoder.encode({ ...labels(2, 2, Uint8Array.of(1, 0, 1, 0)), latencyMs: -5, sequence: 2 ** 32 + 1 })
  t.same(Buffer.from(first), kept)
  for (const [latencyMs, latencyUs] of [
    [-5, 0],
    [Number.NaN, 0],
    [1e9, 0xffffffff],
    [0.0126, 13],
  ]) {
    const odd = encoder.encode({ ...labels(1, 1, Uint8Array.of(0)), latencyMs, sequence: 2 ** 32 + 1 })
    t.match(readMessage(odd.subarray(PREFIX_BYTES)), { latencyUs, sequence: 1 })
  }
})

t.test('the hello carries text of any language', async t => {
  const hello = {
    drone: 'kes1',
    software: 'kestrel-agent 0.1.0',
    student: 'étudiant.onnx',
    width: 24,
    height: 16,
    classes: ['land', '水'],
    palette: [
      [1, 2, 3],
      [4, 5, 6],
    ] as [number, number, number][],
  }
  const [bytes] = streamMessages().add(encodeHello(hello))
  t.same(readMessage(bytes), { kind: 'hello', hello })
})
