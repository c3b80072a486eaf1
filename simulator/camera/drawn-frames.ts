import type { LabelMap, RgbImage } from '@kestrel/models'

/** What the simulated camera gives for one moment. */
export interface DrawnFrame {
  image: RgbImage
  labels: LabelMap
}

/**
 * Frames that this process has drawn. A frame follows from scenario, size and time alone, so whoever plays a flight more than once need not
 * draw it again. What is kept stays: a replay goes through the flight from its beginning, and of a memory that forgot the oldest
 * it would find nothing.
 */
export class DrawnFrames {
  readonly #frames = new Map<string, DrawnFrame>()
  #freeBytes: number

  /** @param bytes memory for frames; 0 keeps none */
  constructor(bytes: number) {
    this.#freeBytes = bytes
  }

  /** A copy: whoever gets it may change it or send it away. */
  find(key: string): DrawnFrame | undefined {
    const kept = this.#frames.get(key)
    return kept && copyOf(kept)
  }

  keep(key: string, frame: DrawnFrame): void {
    const bytes = frame.image.data.length + frame.labels.data.length
    if (bytes > this.#freeBytes || this.#frames.has(key)) return
    this.#freeBytes -= bytes
    this.#frames.set(key, copyOf(frame))
  }
}

function copyOf({ image, labels }: DrawnFrame): DrawnFrame {
  return {
    image: { ...image, data: image.data.slice() },
    labels: { ...labels, data: labels.data.slice() },
  }
}

/** Of this process: nothing is kept unless `keepDrawnFrames` was called. */
export let drawnFrames = new DrawnFrames(0)

/** From now on frames that are drawn are kept, within so many bytes; 0 forgets them all. */
export function keepDrawnFrames(bytes: number): void {
  drawnFrames = new DrawnFrames(bytes)
}
