import type { LabelMap, RgbImage } from '@kestrel/models'

/** Which frame an image is, for teachers that know the answers by heart. */
export interface FrameReference {
  /** Index of the frame in its source, a video or a folder. */
  sourceIndex: number
  /** When it was taken, ms of the drone's clock. */
  captureMs: number
}

/** Who labels the frames that the student learns from. */
export interface Teacher {
  /** Its own class names. */
  readonly classes: string[]
  /** The labels are as large as the camera's picture, so that another size is somebody's mistake. */
  readonly atCameraSize: boolean
  /**
   * @param image a frame at any size
   * @returns labels in STUDENT classes, `IGNORE` where there is none, at the teacher's own size
   * @throws UserError where it has no answer for this frame
   */
  label(image: RgbImage, frame: FrameReference): Promise<LabelMap>
  release(): Promise<void>
}
