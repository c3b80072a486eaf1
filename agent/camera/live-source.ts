import type { RgbImage } from '@kestrel/models'

/** A picture that a live camera gave, not decoded yet: most are never looked at. */
export interface LivePicture {
  /** When it was taken, Clock time in ms. */
  captureMs: number
  /** Decodes it, once; one picture at a time. @throws Error where it is damaged */
  decode(): Promise<RgbImage>
  /** Lets go of a picture that nobody decodes. */
  discard?(): void
}

/** A live camera that is open. */
export interface LiveStream {
  /** For log lines, such as `C920 (MJPG 1280x720, 30 fps)`. */
  readonly description: string
  readonly width: number
  readonly height: number
  /** Frames/s that were agreed on; undefined where the camera does not say. */
  readonly fps?: number
  /** Frames lost before they could be read: in the driver, on the wire, or overtaken by newer ones. */
  readonly lost: number
  /** The newest picture, waiting for one; called again only when the last call has settled. @throws Error when the camera is gone */
  read(): Promise<LivePicture>
  /** Releases the camera; a pending `read` rejects or settles before this resolves. */
  close(): Promise<void>
}

/** A camera that can be opened again and again. */
export interface LiveSource {
  /** For log lines; without secrets. */
  readonly name: string
  /**
   * @throws UserError where nobody needs to wait: it is no camera, or does not offer what is wanted. Any other error says that it
   *   is not there now, and may come
   */
  open(signal: AbortSignal): Promise<LiveStream>
}
