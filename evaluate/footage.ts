import { type Camera, type Frame, openCamera } from '@kestrel/agent'
import type { Teacher } from '@kestrel/ground-station'
import { type Log, UserError, VirtualClock } from '@kestrel/runtime'
import { TruthStore } from './metric/truth.js'

/** When replays begin: any fixed moment, so that they repeat to the byte. */
const START_MS = Date.UTC(2021, 9, 11)

/** A video that is played from its beginning as often as asked. */
export interface FootageOptions {
  /** One after the other, as one flight. */
  sources: string[]
  /** How often all of them are played; once if not given. */
  repeat?: number
  fps?: number
  log: Log
}

/** What is known of a video once all of it was seen. */
export interface Footage {
  frames: number
  fps: number
  width: number
  height: number
  /** From the first frame to the last, and one frame more, s; of all repetitions. */
  durationS: number
}

/** One frame of the flight. Its `sourceIndex` counts through all sources and is the same in every repetition. */
export interface Played {
  frame: Frame
  /** Since the first frame, s. */
  t: number
  clock: VirtualClock
  camera: Camera
}

/**
 * Plays the footage from its beginning: the clock is moved to each frame's capture time before the frame is handed out.
 *
 * @throws UserError where a video cannot be read, or they differ in size
 */
export async function* play(options: FootageOptions): AsyncGenerator<Played> {
  const { sources, repeat = 1 } = options
  const clock = new VirtualClock(START_MS)
  let id = 0
  let size: { width: number; height: number } | undefined
  for (let round = 0; round < repeat; round++) {
    let first = 0
    for (const source of sources) {
      let count = 0
      for await (const { frame, camera } of playOne(source, options, clock)) {
        size ??= camera
        if (camera.width !== size.width || camera.height !== size.height) {
          throw new UserError(
            `${source} is ${camera.width}x${camera.height} but ${sources[0]} is ${size.width}x${size.height}: ` +
              'clips of one flight must have one size; scale them alike',
          )
        }
        const t = (frame.captureMs - START_MS) / 1000
        yield { frame: { ...frame, id: id++, sourceIndex: first + frame.sourceIndex }, t, clock, camera }
        count = frame.sourceIndex + 1
      }
      first += count
    }
  }
}

/** One video; at its end the clock stands where the next one's first frame is due. */
async function* playOne(source: string, options: FootageOptions, clock: VirtualClock) {
  const { fps, log } = options
  const camera = await openCamera({ source, fps, log, pace: 'as-fast-as-possible', clock })
  await camera.start()
  try {
    const beganMs = clock.nowMs()
    let offsetMs: number | undefined
    for (let frame = await camera.next(); frame !== undefined; frame = await camera.next()) {
      offsetMs ??= beganMs - frame.captureMs
      const captureMs = frame.captureMs + offsetMs
      await clock.advanceTo(captureMs)
      yield { frame: { ...frame, captureMs }, camera }
    }
    await clock.advanceTo(clock.nowMs() + 1000 / camera.fps)
  } finally {
    await camera.stop()
  }
}

/**
 * Lets the teacher label every frame of the footage, once for all repetitions and schemes.
 *
 * @param onFrame told how many frames are done
 * @throws UserError where the teacher's labels and the video do not belong together
 */
export async function labelFootage(
  options: FootageOptions,
  teacher: Teacher,
  onFrame: (done: number) => void,
): Promise<{ footage: Footage; truth: TruthStore }> {
  const { sources, repeat = 1 } = options
  const truth = new TruthStore()
  try {
    let footage: Footage | undefined
    let lastT = 0
    let lastIndex = -1
    for await (const { frame, t, camera } of play({ ...options, repeat: 1 })) {
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
      footage = {
        frames: repeat * truth.count,
        fps,
        width,
        height,
        durationS: repeat * (lastT + 1 / fps),
      }
      onFrame(truth.count)
    }
    if (footage === undefined) throw new UserError(`${sources.join(', ')} holds no frame that can be decoded`)
    await checkNoMoreLabels(teacher, lastIndex, sources.join(', '))
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
