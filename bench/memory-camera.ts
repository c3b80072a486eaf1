import type { Camera, Frame } from '@kestrel/agent'
import type { RgbImage } from '@kestrel/models'

export interface MemoryCamera extends Camera {
  /** When frames were lost because nobody took them in time, performance.now(). */
  readonly drops: number[]
}

/**
 * A camera whose pictures lie in memory, for measuring what comes after the camera. At a fixed rate a frame that is due while the one before
 * it is still being labelled is lost, and noted; at full speed there is always a next one.
 *
 * @param options.fps undefined: full speed
 * @param options.frames after how many the source ends
 * @param options.before runs ahead of each frame, outside of its latency
 */
export function memoryCamera(options: {
  images: RgbImage[]
  fps?: number
  frames?: number
  before?: () => Promise<void>
}): MemoryCamera {
  const { images, fps, frames = Number.POSITIVE_INFINITY, before } = options
  const { width, height } = images[0]
  const drops: number[] = []
  let id = 0
  let dueMs = performance.now()
  const periodMs = fps === undefined ? 0 : 1000 / fps
  return {
    description: 'pictures in memory',
    fps: fps ?? 0,
    width,
    height,
    drops,
    get dropped() {
      return drops.length
    },
    async start() {},
    async stop() {},
    async next(signal): Promise<Frame | undefined> {
      if (id >= frames) return undefined
      await before?.()
      if (before !== undefined) dueMs = Math.max(dueMs, performance.now())
      // A frame is lost once the next one is there.
      while (fps !== undefined && performance.now() > dueMs + periodMs) {
        drops.push(dueMs)
        dueMs += periodMs
        id += 1
      }
      await until(dueMs, signal)
      if (signal?.aborted) return undefined
      const captureMs = fps === undefined ? performance.now() : dueMs
      dueMs += periodMs
      const image = images[id % images.length]
      return { id: id++, captureMs, sourceIndex: id, image }
    },
  }
}

/** Timers are a millisecond coarse, and late; the rest of the way is spun in turns of the event loop. */
async function until(ms: number, signal?: AbortSignal): Promise<void> {
  const coarse = ms - performance.now() - 2
  if (coarse > 0) await new Promise(resolve => setTimeout(resolve, coarse))
  while (performance.now() < ms && !signal?.aborted) await new Promise(resolve => setImmediate(resolve))
}
