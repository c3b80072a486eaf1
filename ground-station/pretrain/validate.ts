import { Scaler } from '@kestrel/link'
import {
  argmaxUpsampled,
  ConfusionMatrix,
  resizeLabels,
  type Student,
  StudentRunner,
  toPlanar,
} from '@kestrel/models'
import type { ExampleSet } from './examples.js'

export interface Validation {
  /** Percent; undefined where there is nothing to judge on. */
  miou: number | undefined
  /** Percent, by class; undefined where the class occurs in neither labels nor predictions. */
  perClass: (number | undefined)[]
  /** Percent, by source. */
  perSet: { name: string; miou: number | undefined; examples: number }[]
}

/**
 * How well a model labels examples that it was not trained on, whole pictures, at their own size.
 *
 * @param options.limit at most so many of each source
 */
export async function validate(
  student: Student,
  bytes: Uint8Array,
  sets: ExampleSet[],
  options: { limit?: number; threads?: number } = {},
): Promise<Validation> {
  const { limit = Number.POSITIVE_INFINITY, threads = 0 } = options
  const { classes } = student
  const { width, height } = student.input
  const runner = await StudentRunner.create(student, bytes, { threads })
  const scaler = new Scaler()
  const whole = new ConfusionMatrix(classes.length)
  const perSet: Validation['perSet'] = []
  try {
    for (const { name, examples } of sets) {
      const own = new ConfusionMatrix(classes.length)
      const step = Math.max(1, examples.length / limit)
      let count = 0
      for (let at = 0; at < examples.length; at += step, count++) {
        const { image, labels } = examples[Math.floor(at)]
        const {
          data,
          height: h,
          width: w,
        } = await runner.logits(toPlanar(scaler.scale(image, width, height)))
        own.add(resizeLabels(labels, width, height), {
          width,
          height,
          data: argmaxUpsampled(data, classes.length, h, w, height, width),
        })
      }
      whole.addMatrix(own)
      perSet.push({ name, miou: percent(own.miou()), examples: count })
    }
  } finally {
    scaler.dispose()
    await runner.release()
  }
  return { miou: percent(whole.miou()), perClass: whole.iou().map(percent), perSet }
}

function percent(share: number | undefined): number | undefined {
  return share === undefined ? undefined : 100 * share
}
