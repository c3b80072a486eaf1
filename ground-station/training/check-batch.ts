import type { Student } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import type { Batch } from './engine.js'

/** @throws UserError where a batch does not have the sizes that it tells, or parameters are another student's */
export function checkBatch(student: Student, batch: Batch, parameters: Float32Array): void {
  const { height, width } = student.input
  const { size, images, labels, labelHeight, labelWidth } = batch
  const expect = (what: string, expected: number, found: number) => {
    if (expected === found) return
    throw new UserError(
      `${what}: expected ${expected} values, found ${found}; ${student.source} takes ${width}x${height} images`,
    )
  }
  if (!(Number.isInteger(size) && size > 0 && labelHeight > 0 && labelWidth > 0)) {
    throw new UserError(
      `A batch of ${size} images with labels of ${labelWidth}x${labelHeight} holds nothing to train on`,
    )
  }
  expect(`Images of a batch of ${size}`, size * 3 * height * width, images.length)
  expect(
    `Labels of a batch of ${size}, ${labelWidth}x${labelHeight}`,
    size * labelHeight * labelWidth,
    labels.length,
  )
  expect('Parameters', student.parameterCount, parameters.length)
}
