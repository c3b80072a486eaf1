import type { Frame } from '@kestrel/agent'
import type { LabelMap } from '@kestrel/models'

/** What a scheme has cost by the end of the video. */
export interface SchemeStats {
  /** Bytes of the messages that crossed the link, drone → ground. */
  uplinkBytes: number
  /** Bytes of the messages that crossed the link, ground → drone. */
  downlinkBytes: number
  /** Weight updates that were applied (Remote+Tracking: label maps that arrived). */
  updates: number
  /** Frames that were sent up. */
  sampledFrames: number
  /** Further figures, by name. */
  details?: Record<string, number | string>
}

/** One way of getting labels for every frame of a video: it plays both the drone and the ground. */
export interface Scheme {
  readonly name: string
  /**
   * Plays the next frame; the virtual clock already stands at its capture time.
   *
   * @returns the labels that the drone would show for it, at the size of the truth
   */
  onFrame(frame: Frame): Promise<LabelMap>
  /** Ends the flight. */
  finish(): Promise<SchemeStats>
  /** Frees what the scheme holds. */
  dispose(): Promise<void>
}
