import { type ClassSums, type Flight, type LearningScore, miouOf } from '@kestrel/flight-log'
import type { ScoredMoment, Scores } from '../api.js'
import type { Stretch } from '../recording.js'

/** IoU by class over a stretch of a flight, of the student that learned and of the frozen one; undefined where nothing was scored. */
export async function scoresOf(
  flight: Flight,
  classes: string[],
  whole: Stretch,
  stretch: Stretch = whole,
): Promise<Scores | undefined> {
  const all = stretch.fromMs <= whole.fromMs && stretch.toMs >= whole.toMs
  const sums = all ? await flight.scores() : await sumsOf(flight, stretch)
  if (sums === undefined || sums.frames === 0) return undefined
  const { adapting, frozen, truth, frames } = sums
  const iou = ({ intersection, union }: ClassSums['adapting'], k: number) =>
    union[k] > 0 ? intersection[k] / union[k] : null
  return {
    ...stretch,
    frames,
    miou: { adapting: miouOf(adapting, truth) ?? null, frozen: miouOf(frozen, truth) ?? null },
    classes: truth.map((pixels, k) => ({
      name: classes[k] ?? `class ${k}`,
      share:
        pixels /
        Math.max(
          1,
          truth.reduce((sum, count) => sum + count, 0),
        ),
      adapting: iou(adapting, k),
      frozen: iou(frozen, k),
    })),
  }
}

async function sumsOf(flight: Flight, { fromMs, toMs }: Stretch): Promise<ClassSums | undefined> {
  let sums: ClassSums | undefined
  for await (const { message } of flight.messages('/learning/score', { fromMs, toMs })) {
    if (message === undefined) continue
    const score = message as LearningScore
    const zeros = () => score.truth.map(() => 0)
    sums ??= {
      frames: 0,
      adapting: { intersection: zeros(), union: zeros() },
      frozen: { intersection: zeros(), union: zeros() },
      truth: zeros(),
    }
    const add = (to: number[], values: bigint[]) => {
      for (let k = 0; k < to.length; k++) to[k] += Number(values[k] ?? 0n)
    }
    sums.frames += 1
    add(sums.adapting.intersection, score.adaptingIntersection)
    add(sums.adapting.union, score.adaptingUnion)
    add(sums.frozen.intersection, score.frozenIntersection)
    add(sums.frozen.union, score.frozenUnion)
    add(sums.truth, score.truth)
  }
  return sums
}

/** The moments at which learning helped most and least, by the difference of the trailing mIoU; at least a window apart from each other. */
export async function bestAndWorst(
  flight: Flight,
  options: { count: number; apartMs: number },
): Promise<{ best: ScoredMoment[]; worst: ScoredMoment[] }> {
  const moments: ScoredMoment[] = []
  for await (const { message, timeMs } of flight.messages('/learning/score')) {
    const { adapting, frozen, modelVersion } = (message ?? {}) as LearningScore
    if (adapting === undefined || frozen === undefined) continue
    moments.push({ timeMs, adapting, frozen, version: modelVersion })
    // A flight of hours: every second one is enough.
    if (moments.length > 20_000) for (let i = moments.length - 1; i > 0; i -= 2) moments.splice(i, 1)
  }
  const pick = (sorted: ScoredMoment[]) => {
    const picked: ScoredMoment[] = []
    for (const moment of sorted) {
      if (picked.length === options.count) break
      if (picked.every(({ timeMs }) => Math.abs(timeMs - moment.timeMs) >= options.apartMs))
        picked.push(moment)
    }
    return picked
  }
  const gain = ({ adapting, frozen }: ScoredMoment) => adapting - frozen
  const rising = [...moments].sort((a, b) => gain(a) - gain(b))
  // On a short flight there may be no second moment that deserves the name.
  const middle = Math.ceil(rising.length / 2)
  return { best: pick(rising.slice(middle).reverse()), worst: pick(rising.slice(0, middle)) }
}
