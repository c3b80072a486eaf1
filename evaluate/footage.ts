import { type Camera, type Frame, openCamera } from '@kestrel/agent'
import type { Teacher } from '@kestrel/ground-station'
import { type Log, UserError, VirtualClock } from '@kestrel/runtime'
import { TruthStore } from './metric/truth.js'

/** When replays begin: any fixed moment, so that they repeat to the byte. */
const START_MS = Date.UTC(2021, 9, 11)

/** A video that is played from its beginning as often as asked. */
export interface FootageOptions {
  source: string
  fps?: number
  log: Log
}

/** What is known of a video once all of it was seen. */
export interface Footage {
  frames: number
  fps: number
  width: number
  height: number
  /** From the first frame to the last, and one frame more, s. */
  durationS: number
}

/**
 * Plays the video from its beginning: the clock is moved to each frame's capture time before the frame is handed out.
 *
 * @throws UserError where the video cannot be read
 */
export async function* play(
  options: FootageOptions,
): AsyncGenerator<{ frame: Frame; t: number; clock: VirtualClock; camera: Camera }> {
  const clock = new VirtualClock(START_MS)
  const camera = await openCamera({ ...options, pace: 'as-fast-as-possible', clock })
  await camera.start()
  try {
    let firstMs: number | undefined
    for (let frame = await camera.next(); frame !== undefined; frame = await camera.next()) {
      firstMs ??= frame.captureMs
      await clock.advanceTo(frame.captureMs)
      yield { frame, t: (frame.captureMs - firstMs) / 1000, clock, camera }
    }
  } finally {
    await camera.stop()
  }
}

/**
 * Lets the teacher label every frame of the video, once for all schemes.
 *
 * @param onFrame told how many frames are done
 * @throws UserError where the teacher's labels and the video do not belong together
 */
export async function labelFootage(
  options: FootageOptions,
  teacher: Teacher,
  onFrame: (done: number) => void,
): Promise<{ footage: Footage; truth: TruthStore }> {
  const truth = new TruthStore()
  try {
    let footage: Footage | undefined
    let lastT = 0
    let lastIndex = -1
    for await (const { frame, t, camera } of play(options)) {
      const { sourceIndex, captureMs, image } = frame
      const map = await teacher.label(image, { sourceIndex, captureMs })
      if (teacher.atCameraSize && (map.width !== image.width || map.height !== image.height)) {
        throw new UserError(
          `The label of frame ${sourceIndex} is ${map.width}x${map.height} but the frame is ${image.width}x${image.height}: ` +
            'labels must have the size of the video’s frames',
        )
      }
      truth.append(map)
      lastT = t
      lastIndex = sourceIndex
      const { width, height, fps } = camera
      footage = { frames: truth.count, fps, width, height, durationS: lastT + 1 / fps }
      onFrame(truth.count)
    }
    if (footage === undefined) throw new UserError(`${options.source} holds no frame that can be decoded`)
    await checkNoMoreLabels(teacher, lastIndex, options.source)
    return { footage, truth }
  } catch (error) {
    truth.dispose()
    throw error
  }
}

/** Labels that go on after the last frame belong to another video. */
async function checkNoMoreLabels(teacher: Teacher, lastIndex: number, source: string): Promise<void> {
  if (!teacher.atCameraSize) return
  const image = { width: 1, height: 1, data: new Uint8Array(3) }
  const more = await teacher.label(image, { sourceIndex: lastIndex + 1, captureMs: 0 }).then(
    () => true,
    () => false,
  )
  if (more) {
    throw new UserError(
      `There are more labels than the ${lastIndex + 1} frames of ${source}: labels and frames must be of the same ` +
        'recording, one label a frame',
    )
  }
}
