import { openCamera } from '@kestrel/agent'
import { openTeacher } from '@kestrel/ground-station'
import { type LabelMap, mapClasses, type RgbImage } from '@kestrel/models'
import { type Clock, silentLog } from '@kestrel/runtime'
import { aerialClasses, frameTimeS, liveIndex, parseSimSource, RenderThread } from '@kestrel/simulator'

/** A frame with what is true of it, in the student's classes. */
export interface JudgedFrame {
  /** When it was taken, ms of the clock. */
  captureMs: number
  image: RgbImage
  truth: LabelMap
}

/** Frames of a flight that is under way. */
export interface JudgedFrames {
  /** The present one; undefined once there are no more. */
  next(signal: AbortSignal): Promise<JudgedFrame | undefined>
  stop(): Promise<void>
}

/** A simulated flight: picture and labels are drawn together. */
export function simulatedFrames(
  source: string,
  options: { studentClasses: string[]; clock: Clock },
): JudgedFrames {
  const { studentClasses, clock } = options
  const table = mapClasses(aerialClasses, studentClasses)
  const sim = parseSimSource(source)
  const { scenario, width, height, count } = sim
  const renderer = new RenderThread({ scenario, width, height })
  return {
    async next() {
      const captureMs = clock.nowMs()
      const index = liveIndex(sim, captureMs)
      if (index >= count) return undefined
      const { image, labels } = await renderer.render(frameTimeS(sim, index))
      return { captureMs, image, truth: { ...labels, data: labels.data.map(label => table[label]) } }
    },
    stop: () => renderer.stop(),
  }
}

/** Footage, and a teacher that labels it. */
export async function filmedFrames(
  source: string,
  teacherSpec: string,
  options: { studentClasses: string[]; clock: Clock },
): Promise<JudgedFrames> {
  const { studentClasses, clock } = options
  const teacher = await openTeacher(teacherSpec, { studentClasses, threads: 1, log: silentLog })
  const camera = await openCamera({ source, pace: 'real-time', loop: true, clock, log: silentLog })
  await camera.start()
  return {
    async next(signal) {
      const frame = await camera.next(signal)
      if (frame === undefined) return undefined
      const { image, captureMs, sourceIndex } = frame
      return { captureMs, image, truth: await teacher.label(image, { sourceIndex, captureMs }) }
    },
    async stop() {
      await camera.stop()
      await teacher.release()
    },
  }
}
