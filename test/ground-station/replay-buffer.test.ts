import { type LabelledFrame, ReplayBuffer } from '@kestrel/ground-station'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

const W = 4
const H = 2

/** A frame whose image and labels tell which one it is. */
function frame(id: number, timeMs: number, width = W, height = H): LabelledFrame {
  return {
    timeMs,
    image: new Uint8Array(3 * W * H).fill(id),
    labels: { width, height, data: new Uint8Array(width * height).fill(id) },
  }
}

t.test('it remembers frames, not rows: as many images as labels, each with its own', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 1, maxLength: 80 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 12 }),
      (gaps, maxFrames, batch) => {
        const buffer = new ReplayBuffer({ horizonMs: 240_000, maxFrames })
        let now = 0
        const added: LabelledFrame[] = []
        gaps.forEach((gap, id) => {
          now += gap
          added.push(frame(id, now))
          buffer.add(added[id])
          // The oracle: whole frames that are young enough, the newest of them.
          const expected = added.filter(({ timeMs }) => timeMs >= now - 240_000).slice(-maxFrames)
          const times = buffer.frames.map(({ timeMs, image }) => `${timeMs}/${image[0]}`)
          if (times.join() !== expected.map(({ timeMs, image }) => `${timeMs}/${image[0]}`).join()) {
            throw new Error(`holds ${times}`)
          }
          if (buffer.bytes !== expected.length * (3 * W * H + W * H)) throw new Error(`${buffer.bytes} bytes`)
        })
        const sample = buffer.sample(createRng(gaps.length), batch)
        if (sample === undefined) throw new Error('no batch')
        if (sample.size !== Math.min(batch, buffer.length)) throw new Error(`a batch of ${sample.size}`)
        if (sample.images.length !== sample.size * 3 * W * H) throw new Error('images of another size')
        if (sample.labels.length !== sample.size * W * H) throw new Error('labels of another size')
        for (let i = 0; i < sample.size; i++) {
          const image = sample.images.subarray(i * 3 * W * H, (i + 1) * 3 * W * H)
          const labels = sample.labels.subarray(i * W * H, (i + 1) * W * H)
          if (!labels.every(label => label === image[0])) throw new Error('labels of another frame')
        }
      },
    ),
  )
})

t.test('memory is bounded too, and one frame always fits', async t => {
  const buffer = new ReplayBuffer({ horizonMs: 1e9, maxBytes: 3 * 4 * W * H })
  for (let i = 0; i < 10; i++) buffer.add(frame(i, i))
  t.same(
    buffer.frames.map(({ timeMs }) => timeMs),
    [7, 8, 9],
  )
  const tiny = new ReplayBuffer({ horizonMs: 1e9, maxBytes: 1 })
  tiny.add(frame(1, 1))
  t.equal(tiny.length, 1)
})

t.test('mini-batches are uniform over the frames, without the newest that are held out', async t => {
  const buffer = new ReplayBuffer({ horizonMs: 1e9 })
  for (let i = 0; i < 10; i++) buffer.add(frame(i, i))
  const rng = createRng(3)
  const counts = new Array(10).fill(0)
  for (let i = 0; i < 4000; i++) {
    const { labels, size } = buffer.sample(rng, 3, 2)!
    const ids = Array.from({ length: size }, (_, k) => labels[k * W * H])
    if (new Set(ids).size !== 3) t.fail(`the same frame twice: ${ids}`)
    for (const id of ids) counts[id]++
  }
  t.same(counts.slice(8), [0, 0])
  // 12000 draws over 8 frames: 1500 each, standard deviation about 30.
  t.ok(
    counts.slice(0, 8).every(count => Math.abs(count - 1500) < 200),
    counts.join(),
  )
  t.equal(buffer.sample(rng, 3, 10), undefined)
})

t.test('with a half-life, newer frames are drawn more often: half as often for each of it', async t => {
  const buffer = new ReplayBuffer({ horizonMs: 1e9, halfLifeMs: 1000 })
  // The last is held out; ages are those before the one that is not.
  for (const [id, timeMs] of [0, 1000, 2000, 90_000].entries()) buffer.add(frame(id, timeMs))
  const rng = createRng(4)
  const counts = [0, 0, 0, 0]
  for (let i = 0; i < 7000; i++) counts[buffer.sample(rng, 1, 1)!.labels[0]]++
  // 1000, 2000 and 4000 of 7000, standard deviation at most 42.
  for (const [id, expected] of [1000, 2000, 4000, 0].entries()) {
    t.ok(Math.abs(counts[id] - expected) < 170, counts.join())
  }
  // So old that its weight is nothing, it is still there for a mini-batch that wants all.
  const old = new ReplayBuffer({ horizonMs: 1e9, halfLifeMs: 1 })
  for (const [id, timeMs] of [0, 1000, 1e6, 1e6 + 1].entries()) old.add(frame(id, timeMs))
  t.same(
    [...old.sample(rng, 8)!.labels].filter((_, i) => i % (W * H) === 0),
    [0, 1, 2, 3],
  )
})

t.test('it knows how many pixels of each class it holds, without the newest that are held out', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 0, max: 32 }),
      (ids, exclude) => {
        const buffer = new ReplayBuffer({ horizonMs: 1e9, maxFrames: 10 })
        ids.forEach((id, i) => {
          buffer.add(frame(id, i))
        })
        const held = ids.slice(-10)
        const counted = held.slice(0, Math.max(0, held.length - exclude))
        const expected = new Float64Array(256)
        for (const id of counted) expected[id] += W * H
        if (buffer.pixelCounts(exclude).join() !== expected.join()) throw new Error('counts')
      },
    ),
  )
})

t.test('labels of another size are brought to that of the buffer', async t => {
  const buffer = new ReplayBuffer({ horizonMs: 1e9 })
  buffer.add(frame(1, 1))
  buffer.add(frame(2, 2, 8, 6))
  const { labels, labelHeight, labelWidth } = buffer.sample(createRng(1), 2)!
  t.same([labelHeight, labelWidth, labels.length], [H, W, 2 * W * H])
})

t.test('frames that come late take their place; one that is there already is left out', async t => {
  const buffer = new ReplayBuffer({ horizonMs: 1000 })
  const times = () => buffer.frames.map(({ timeMs }) => timeMs)
  for (const time of [10_000, 10_500, 10_200]) buffer.add(frame(1, time))
  t.same(times(), [10_000, 10_200, 10_500])
  t.ok(buffer.add(frame(1, 11_100)))
  t.same(times(), [10_200, 10_500, 11_100], 'one was forgotten')
  const { bytes } = buffer
  t.notOk(buffer.add(frame(1, 10_500)), 'the same frame again')
  t.match(buffer, { length: 3, bytes })
  t.ok(buffer.add(frame(2, 10_500)), 'another frame of the same moment')
})

t.test('the backlog of an outage, newest first: what is too old does no harm', async t => {
  const buffer = new ReplayBuffer({ horizonMs: 2000 })
  const segment = (begin: number) => [0, 1, 2, 3, 4].map(i => begin + 100 * i)
  // The latest first; meanwhile the flight goes on.
  for (const begin of [9500, 9000, 8500, 8000, 7500, 7000, 10_000, 6500, 6000, 10_500]) {
    for (const time of segment(begin)) buffer.add(frame(1, time))
  }
  const expected = [8900, ...[9000, 9500, 10_000, 10_500].flatMap(segment)]
  t.same(
    buffer.frames.map(({ timeMs }) => timeMs),
    expected,
  )
})

t.test('a clock that was set back: frames of the time before do not stay for ever', async t => {
  const buffer = new ReplayBuffer({ horizonMs: 1000 })
  for (let i = 0; i < 20; i++) buffer.add(frame(1, 10_000 + 100 * i))
  const taken = [500, 600, 700, 800, 900, 1000].map(time => buffer.add(frame(2, time)))
  t.same(taken, [false, false, false, true, true, true], 'after a quarter of the horizon it is believed')
  t.same(
    buffer.frames.map(({ timeMs }) => timeMs),
    [800, 900, 1000],
  )
  t.equal(buffer.bytes, 3 * (3 * W * H + W * H))
})
