import { Scorer } from '@kestrel/evaluate'
import { IGNORE } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

interface Shot {
  t: number
  truth: Uint8Array
  predicted: Uint8Array
}

/** IoU by its definition, on sets of pixels; classes that `truth` lacks are left out of the mean. */
function naiveMiou(shots: Shot[], classes: number): number | undefined {
  const ious: number[] = []
  for (let k = 0; k < classes; k++) {
    let both = 0
    let either = 0
    let present = false
    for (const { truth, predicted } of shots) {
      truth.forEach((label, i) => {
        if (label === IGNORE) return
        present ||= label === k
        if (label === k && predicted[i] === k) both++
        if (label === k || predicted[i] === k) either++
      })
    }
    if (present) ious.push(both / either)
  }
  return ious.length === 0 ? undefined : ious.reduce((a, b) => a + b, 0) / ious.length
}

function naiveScore(shots: Shot[], classes: number, windowS: number, durationS: number) {
  const windows = shots.map(({ t: end }) =>
    naiveMiou(
      shots.filter(({ t: at }) => at > end - windowS && at <= end),
      classes,
    ),
  )
  const mean = (values: (number | undefined)[]) => {
    const known = values.filter(value => value !== undefined)
    return known.length === 0 ? undefined : known.reduce((a, b) => a + b, 0) / known.length
  }
  return {
    series: windows,
    miouWindow: mean(windows),
    miouSecondHalf: naiveMiou(
      shots.filter(({ t: at }) => at >= durationS / 2),
      classes,
    ),
    miouVideo: naiveMiou(shots, classes),
  }
}

/** Equal, up to the order in which floats were added. */
const near = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? a === b : Math.abs(a - b) < 1e-12

t.test('windows, halves and the whole video agree with IoU by its definition', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer(),
      (classes, count, windowS, seed) => {
        const rng = createRng(seed)
        let at = rng.int(40) / 8
        const shots = Array.from({ length: count }, () => {
          // Eighths of a second are exact, so that the oracle sees the same borders of windows.
          at += (1 + rng.int(20)) / 8
          const truth = Uint8Array.from({ length: 12 }, () => (rng.float() < 0.2 ? IGNORE : rng.int(classes)))
          return { t: at, truth, predicted: Uint8Array.from({ length: 12 }, () => rng.int(classes)) }
        })
        const scorer = new Scorer(classes, { durationS: at, windowS })
        const returned = shots.map(shot => scorer.add(shot.t, shot.truth, shot.predicted))
        const score = scorer.score()
        const expected = naiveScore(shots, classes, windowS, at)
        return (
          expected.series.every(
            (value, i) => near(score.series[i].miou, value) && near(returned[i], value),
          ) &&
          near(score.miouWindow, expected.miouWindow) &&
          near(score.miouSecondHalf, expected.miouSecondHalf) &&
          near(score.miouVideo, expected.miouVideo)
        )
      },
    ),
  )
})

t.test('a window holds its last 10 s and no more, at any camera rate', async t => {
  for (const fps of [1, 25, 29.97, 30]) {
    const scorer = new Scorer(2, { durationS: 20 })
    const right = Uint8Array.of(0, 1)
    const wrong = Uint8Array.of(1, 0)
    // All wrong up to and at t = 0; ten seconds later only right answers are in the window.
    scorer.add(0, right, wrong)
    const frames = Math.round(10 * fps)
    for (let i = 1; i < frames; i++) t.ok(scorer.add(i / fps, right, right)! < 1)
    t.equal(scorer.add(10, right, right), 1, `${fps} fps`)
  }
})

t.test('a class that only the student sees costs IoU of others but is no class of the mean', async t => {
  const scorer = new Scorer(3, { durationS: 20 })
  t.equal(scorer.add(0, Uint8Array.of(0, 0, 0, 0), Uint8Array.of(0, 0, 2, 2)), 0.5)
  t.strictSame(scorer.score().perClassIou, [0.5, undefined, 0])
})

t.test('frames without labels are no frames of the mean', async t => {
  const scorer = new Scorer(2, { durationS: 20 })
  t.equal(scorer.add(0, Uint8Array.of(IGNORE), Uint8Array.of(0)), undefined)
  scorer.add(1, Uint8Array.of(1), Uint8Array.of(1))
  t.equal(scorer.score().miouWindow, 1)
  t.equal(new Scorer(2, { durationS: 20 }).score().miouWindow, undefined)
})
