import type { RgbImage } from '@kestrel/models'

/** One picture of a recorded source. */
export interface SourceFrame {
  image: RgbImage
  /** Time from the first picture on, ms, rising. */
  ptsMs: number
  /** Position in the source. */
  index: number
}

/** A recording: pictures with the times at which they were taken. */
export interface FrameSource {
  /** For log lines. */
  readonly name: string
  readonly fps: number
  readonly width: number
  readonly height: number
  /** All pictures, from the first on; at least one, or it throws. */
  read(): AsyncIterable<SourceFrame>
}
