import { classCounts, LiveViewer, spread } from '@kestrel/ground-station'
import { decodeStillBytes } from '@kestrel/link'
import { ConfusionMatrix, type RgbImage, readParameters, StudentRunner, toPlanar } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import { test } from 'tap'
import { colourTeacher, tinyStudent, WORLD, worldImage } from '../support/ground.js'

const student = tinyStudent()
const teacher = colourTeacher()

async function seen(index: number) {
  const image = worldImage(index)
  const labels = await teacher.label(image, { sourceIndex: index, captureMs: 1000 * index })
  return { captureMs: 1000 * index, sourceIndex: index, image, planar: toPlanar(image), labels }
}

/** mIoU by its definition, pixel by pixel. */
function miou(truth: Uint8Array, found: Uint8Array): number {
  const ious = [...new Set(truth)].map(k => {
    let both = 0
    let either = 0
    for (let i = 0; i < truth.length; i++) {
      if (truth[i] === k && found[i] === k) both++
      if (truth[i] === k || found[i] === k) either++
    }
    return both / either
  })
  return ious.reduce((sum, value) => sum + value, 0) / ious.length
}

test('what flies and what was shipped are judged on the same frames against the teacher', async t => {
  const viewer = new LiveViewer({ student, threads: 1, framesPerSegment: 2, windowS: 60 })
  const rng = createRng('moved')
  const parameters = readParameters(student).map(value => value + 0.2 * (rng.float() - 0.5))
  const frames = await Promise.all([0, 1, 2, 3].map(seen))
  const view = (await viewer.look(frames, { version: 7, parameters, digest: new Uint8Array(32) }))!
  t.equal(view.modelVersion, 7)
  t.equal(view.captureMs, 3000, 'the newest frame is shown')
  t.same(
    view.scores.map(({ sourceIndex }) => sourceIndex),
    [1, 3],
  )
  const { width, height } = decodeStillBytes(view.picture.jpeg)
  t.same({ width, height }, WORLD)
  // The same student by another way.
  const shipped = await StudentRunner.create(student, student.bytes, { threads: 1 })
  const expected = await shipped.label(worldImage(3) as RgbImage)
  t.same(view.labels.frozen, expected)
  t.same(view.labels.teacher, frames[3].labels)
  t.notSame(view.labels.student.data, view.labels.frozen.data, 'other weights label otherwise')
  const last = view.scores[1]
  t.ok(Math.abs(last.frozen - miou(frames[3].labels.data, expected.data)) < 1e-9)
  t.ok(Math.abs(last.adapting - miou(frames[3].labels.data, view.labels.student.data)) < 1e-9)
  await shipped.release()
  await viewer.release()
})

test('the window slides, and a clock that was set back empties it', async t => {
  const viewer = new LiveViewer({ student, threads: 1, framesPerSegment: 5, windowS: 3 })
  const flown = { version: 0, parameters: readParameters(student), digest: new Uint8Array(32) }
  const at = async (...indices: number[]) =>
    (await viewer.look(await Promise.all(indices.map(seen)), flown))!.window.frames
  t.equal(await at(10, 11), 2)
  t.equal(await at(12, 13), 3, '10 s is older than 3 s')
  t.equal(await at(2), 1)
  t.equal(await viewer.look([], flown), undefined)
  await viewer.release()
})

test('frames to look at: the newest always, none twice', t => {
  t.same(spread([1, 2, 3, 4, 5, 6], 3), [2, 4, 6])
  t.same(spread([1, 2], 3), [1, 2])
  t.same(spread([1, 2], 0), [])
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 60 }), (length, count) => {
      const items = Array.from({ length }, (_, i) => i)
      const chosen = spread(items, count)
      return (
        chosen.length === Math.min(length, count) &&
        chosen.at(-1) === length - 1 &&
        chosen.every((item, i) => i === 0 || item > chosen[i - 1])
      )
    }),
  )
  t.end()
})

test('counts of classes give the IoU of the confusion matrix', t => {
  const label = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant(255))
  fc.assert(
    fc.property(fc.array(fc.tuple(label, label), { minLength: 1, maxLength: 60 }), pairs => {
      const matrix = new ConfusionMatrix(4)
      matrix.add(
        Uint8Array.from(pairs, ([a]) => a),
        Uint8Array.from(pairs, ([, b]) => b),
      )
      const { intersection, union, truth } = classCounts(matrix)
      const iou = matrix.iou()
      return (
        iou.every((value, k) =>
          union[k] === 0 ? value === undefined : value === intersection[k] / union[k],
        ) && truth.every((count, k) => count === pairs.filter(([a]) => a === k).length)
      )
    }),
  )
  t.end()
})
