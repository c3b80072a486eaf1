import type { LabelMap, RgbImage } from '@kestrel/models'
import type { CanaryVerdict } from './canary.js'

/** Where a student runs: one model flies, a second one is made ready behind it. */
export interface StudentHost {
  /** Loads and warms a model in standby. The bytes may be moved away: do not use them afterwards. */
  load(bytes: Uint8Array): Promise<void>
  /** Tries the standby on recent frames. */
  canary(): Promise<CanaryVerdict>
  /** The standby flies from the next frame on. */
  swap(): Promise<void>
}

/** What labels frames. */
export interface Labeller {
  /** The class of each pixel of an image at the student's size. The map may be overwritten by the next call. */
  label(image: RgbImage): Promise<LabelMap>
}
