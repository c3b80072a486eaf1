import type { RgbImage } from '@kestrel/models'
import type { Clock, Log } from '@kestrel/runtime'

/** One picture as the camera took it. */
export interface Frame {
  /** Counts up by one for each frame the source gave, dropped ones included, and goes on when a source loops. */
  id: number
  /** When it was taken, Clock time in ms. */
  captureMs: number
  /** Its index in the source (video or folder); labels are found by it. */
  sourceIndex: number
  /** At the camera's own size. */
  image: RgbImage
}

/** Where pictures come from. */
export interface Camera {
  /** For log lines, such as `clip.mp4 (854x480, 30 fps)`. */
  readonly description: string
  /** Frames a second and size; 0 where a live camera is not there yet, or does not say. Frames carry their own size. */
  readonly fps: number
  readonly width: number
  readonly height: number
  /** Why a live camera gives no pictures at the moment; undefined while it does. */
  readonly trouble?: string
  /** @throws UserError when the source cannot be opened */
  start(): Promise<void>
  /**
   * In real time the newest frame, waiting for one where there is none yet; older ones were dropped and
   * counted. As fast as possible: every frame in order. Undefined at the end of the source, after `stop()`,
   * or once `signal` aborts.
   */
  next(signal?: AbortSignal): Promise<Frame | undefined>
  /** Frames that nobody took in time. */
  readonly dropped: number
  stop(): Promise<void>
}

/** `real-time`: frames come when they are due, late consumers lose some. `as-fast-as-possible`: all of them, when asked for. */
export type Pace = 'real-time' | 'as-fast-as-possible'

export interface CameraOptions {
  /** A video file, a folder of frames, `sim:SCENARIO`, `v4l2:/dev/video0`, `rtsp://…` or `exec:COMMAND`. */
  source: string
  /** Frames a second; needed for a folder, wished for from a V4L2 camera, taken from a file otherwise. */
  fps?: number
  /** Wished for from a V4L2 camera, needed for the raw pictures of a command, pixels. */
  width?: number
  height?: number
  /** `mjpeg`, `yuyv`, `nv12`, `yuv420p`, `rgb24`, …: wished for from a V4L2 camera, needed for a command. */
  format?: string
  /** How RTSP carries pictures. */
  transport?: 'tcp' | 'udp'
  /** A live camera without a picture for so long is opened again, s. */
  stallS?: number
  pace: Pace
  /** Begin again at the end; ids and capture times go on. */
  loop?: boolean
  clock: Clock
  log: Log
}

export { openCamera } from './open.js'
