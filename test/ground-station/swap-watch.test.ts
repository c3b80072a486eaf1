import { hasFallen, type LabelledFrame, type LivePair, liveScores, SwapWatch } from '@kestrel/ground-station'
import { ConfusionMatrix, readParameters, toPlanar } from '@kestrel/models'
import fc from 'fast-check'
import t from 'tap'
import { colourTeacher, tinyStudent, worldImage } from '../support/ground.js'

const rule = { minFrames: 5, margin: 0.05 }

/** Two classes of which the first `right` of 10 pixels each are labelled as they should be. */
function matrix(right: number): ConfusionMatrix {
  const truth = Uint8Array.from({ length: 20 }, (_, i) => i % 2)
  const found = truth.map((label, i) => (i < 2 * right ? label : 1 - label))
  const result = new ConfusionMatrix(2)
  result.add(truth, found)
  return result
}

const pairs = (before: number[], after: number[]): LivePair[] =>
  before.map((right, i) => ({ before: matrix(right), after: matrix(after[i]) }))
const fallen = (before: number[], after: number[]) => hasFallen(liveScores(pairs(before, after))!, rule)

t.test('a fall is one by the margin, over enough frames, and in most of them', async t => {
  t.ok(fallen([8, 8, 8, 8, 8], [6, 6, 6, 6, 6]))
  t.notOk(fallen([8, 8, 8, 8], [2, 2, 2, 2]), 'four frames')
  t.notOk(fallen([6, 6, 6, 6, 6], [8, 8, 8, 8, 8]), 'better')
  t.notOk(fallen([8, 8, 8, 8, 8], [8, 8, 8, 8, 8]), 'as good')
  t.notOk(fallen([8, 8, 8, 8, 8, 8], [9, 9, 9, 9, 0, 0]), 'two odd frames')
  t.ok(fallen([8, 8, 8, 8, 8, 8], [4, 4, 4, 4, 8, 8]), 'two thirds')
  const slightly = liveScores(pairs([8, 8, 8, 8, 8], [7, 8, 7, 7, 7]))!
  t.ok(slightly.before - slightly.after > 0)
  t.ok(hasFallen(slightly, { ...rule, margin: 0.01 }))
  t.notOk(hasFallen(slightly, { ...rule, margin: 0.2 }), 'within the margin')
})

t.test('scores are mIoU over all frames, and frames without labels are left out', async t => {
  const scores = liveScores([
    ...pairs([10, 5], [5, 5]),
    { before: new ConfusionMatrix(2), after: new ConfusionMatrix(2) },
  ])!
  t.equal(scores.frames, 2)
  t.equal(scores.worse, 1)
  // 15 of 20 right in each class: 15 / 25; 10 of 20: 10 / 30.
  t.ok(Math.abs(scores.before - 15 / 25) < 1e-12)
  t.ok(Math.abs(scores.after - 10 / 30) < 1e-12)
  t.equal(liveScores([{ before: new ConfusionMatrix(2), after: new ConfusionMatrix(2) }]), undefined)
})

t.test('exchanging the versions turns a fall into none', async () => {
  const frames = fc.array(fc.nat({ max: 10 }), { minLength: 5, maxLength: 12 })
  fc.assert(
    fc.property(frames, frames, (a, b) => {
      const length = Math.min(a.length, b.length)
      const [one, other] = [a.slice(0, length), b.slice(0, length)]
      return !(fallen(one, other) && fallen(other, one))
    }),
  )
})

const student = tinyStudent()
const shipped = readParameters(student)
const frames: LabelledFrame[] = await Promise.all(
  Array.from({ length: 30 }, async (_, i) => ({
    timeMs: 1000 * i,
    image: toPlanar(worldImage(i)),
    labels: await colourTeacher().label(worldImage(i), { sourceIndex: i, captureMs: 0 }),
  })),
)

t.test('it looks at frames that came after the swap, and adds them up until it has seen enough', async t => {
  const options = { enabled: true, ...rule }
  const watch = new SwapWatch({ student, threads: 1, options })
  const other = shipped.map(value => -value)
  t.equal(await watch.look(frames, shipped), undefined, 'nothing to watch')
  watch.begin(other, 4)
  const first = (await watch.look(frames.slice(0, 6), shipped))!
  t.equal(first.frames, 2, 'four came before it')
  const second = (await watch.look(frames.slice(6, 9), shipped))!
  t.equal(second.frames, 5)
  t.equal((await watch.look(frames, shipped))!.frames, 21, 'at most 16 in a phase')
  watch.begin(shipped, 0)
  const same = (await watch.look(frames.slice(0, 6), shipped))!
  t.equal(same.before, same.after)
  t.equal(same.worse, 0)
  for (let i = 0; i < 4; i++) await watch.look(frames, shipped)
  t.equal(await watch.look(frames, shipped), undefined, 'trusted by now')
  watch.begin(other, 0)
  watch.end()
  t.equal(await watch.look(frames, shipped), undefined)
  const off = new SwapWatch({ student, threads: 1, options: { ...options, enabled: false } })
  off.begin(other, 0)
  t.equal(await off.look(frames, shipped), undefined)
})
