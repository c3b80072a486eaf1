import {
  argmaxUpsampled,
  ConfusionMatrix,
  type Student,
  StudentRunner,
  withParameters,
} from '@kestrel/models'
import type { LabelledFrame } from './replay-buffer.js'

/**
 * How many of the frames that are new in a phase judge it: the newest ⌈share⌉, at least one; none where the share is 0.
 * They train from the next phase on, so nothing is lost to learning but ten seconds.
 */
export function holdOutCount(newFrames: number, share: number): number {
  return share === 0 || newFrames === 0 ? 0 : Math.max(1, Math.ceil(share * newFrames - 1e-9))
}

/**
 * How well a student with these parameters labels held-out frames: mIoU 0..1 over all their pixels against the teacher, at
 * the teacher's label size.
 *
 * @param parameters [P]
 * @returns undefined where the frames have no labelled pixel
 */
export async function heldOutMiou(
  student: Student,
  parameters: Float32Array,
  frames: readonly LabelledFrame[],
  options: { threads?: number } = {},
): Promise<number | undefined> {
  const total = new ConfusionMatrix(student.output.classes)
  for (const matrix of await confusions(student, parameters, frames, options)) total.addMatrix(matrix)
  return total.miou()
}

/** What a student with these parameters makes of each frame, against the teacher, at the teacher's label size. */
export async function confusions(
  student: Student,
  parameters: Float32Array,
  frames: readonly LabelledFrame[],
  options: { threads?: number } = {},
): Promise<ConfusionMatrix[]> {
  if (frames.length === 0) return []
  const { classes } = student.output
  const runner = await StudentRunner.create(student, withParameters(student, parameters), options)
  try {
    const matrices: ConfusionMatrix[] = []
    for (const { image, labels } of frames) {
      const { data, height, width } = await runner.logits(image)
      const matrix = new ConfusionMatrix(classes)
      matrix.add(labels, argmaxUpsampled(data, classes, height, width, labels.height, labels.width))
      matrices.push(matrix)
    }
    return matrices
  } finally {
    await runner.release()
  }
}

/**
 * Whether weights may be sent: not where they are worse on the hold-out than what flies. Where it cannot be measured there is
 * no objection.
 */
export async function judge(
  student: Student,
  options: {
    flown: Float32Array
    candidate: Float32Array
    frames: readonly LabelledFrame[]
    threads?: number
  },
): Promise<{ before?: number; after?: number; passes: boolean }> {
  const { flown, candidate, frames, threads } = options
  const before = await heldOutMiou(student, flown, frames, { threads })
  const after = await heldOutMiou(student, candidate, frames, { threads })
  return { before, after, passes: before === undefined || after === undefined || after >= before }
}
