import { type LabelMap, type RgbImage, resizeLabels, type Student } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import type { FrameReference, Teacher } from '../teacher/teacher.js'

/** Labels larger than this multiple of the student's input teach it nothing more, and cost memory for the loss. */
const MAX_LABEL_SCALE = 2

/** The agent samples frames at up to this multiple of the student's input. */
const SAMPLED_SCALE = 2

/**
 * Lets the teacher label a frame, and brings the labels down to at most twice the student's size a side.
 *
 * @throws UserError where the labels cannot belong to this frame
 */
export async function labelFrame(
  teacher: Teacher,
  student: Student,
  image: RgbImage,
  frame: FrameReference,
): Promise<LabelMap> {
  const labels = await teacher.label(image, frame)
  if (teacher.atCameraSize) checkSize(labels, image, student.input, frame)
  return resizeLabels(
    labels,
    Math.min(labels.width, MAX_LABEL_SCALE * student.input.width),
    Math.min(labels.height, MAX_LABEL_SCALE * student.input.height),
  )
}

/**
 * Labels at the camera's size are as large as the frame, or larger where the agent made a larger frame smaller. Frames have even
 * sides, so that a difference of one pixel says nothing.
 */
function checkSize(
  labels: LabelMap,
  image: RgbImage,
  student: Student['input'],
  frame: FrameReference,
): void {
  const fits = (label: number, side: number, input: number) =>
    Math.abs(label - side) <= 1 || (label > side && side >= SAMPLED_SCALE * input - 1)
  if (fits(labels.width, image.width, student.width) && fits(labels.height, image.height, student.height))
    return
  throw new UserError(
    `The label of frame ${frame.sourceIndex} is ${labels.width}x${labels.height} but the frame is ` +
      `${image.width}x${image.height}: labels must have the size of the video's frames`,
  )
}
