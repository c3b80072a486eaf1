import './ffmpeg.js'
import { AV_HWDEVICE_TYPE_VAAPI, AV_PIX_FMT_VAAPI, AV_PIX_FMT_YUV420P } from 'node-av/constants'
import { type CodecContext, Frame, HardwareDeviceContext, HardwareFramesContext } from 'node-av/lib'
import { check } from './ffmpeg.js'

/** Pictures that an encoder may hold at a time. */
const POOL = 8

/** The graphics device's own memory, into which pictures are copied before it encodes them. */
export class VaapiSurfaces {
  readonly #device = new HardwareDeviceContext()
  readonly #frames = new HardwareFramesContext()

  /** Makes `context`, not opened yet, take pictures from here. @throws Error where there is no such device */
  constructor(context: CodecContext) {
    try {
      check(this.#device.create(AV_HWDEVICE_TYPE_VAAPI), 'no VAAPI device')
      this.#frames.alloc(this.#device)
      this.#frames.format = AV_PIX_FMT_VAAPI
      this.#frames.swFormat = AV_PIX_FMT_YUV420P
      this.#frames.width = context.width
      this.#frames.height = context.height
      this.#frames.initialPoolSize = POOL
      check(this.#frames.init(), 'VAAPI has no pictures of this kind')
      context.pixelFormat = AV_PIX_FMT_VAAPI
      context.hwFramesCtx = this.#frames
    } catch (error) {
      this.free()
      throw error
    }
  }

  /** The caller frees what it gets. */
  async upload(source: Frame): Promise<Frame> {
    const target = new Frame()
    target.alloc()
    try {
      check(this.#frames.getBuffer(target), 'no VAAPI picture is free')
      check(await this.#frames.transferData(target, source), 'a picture cannot be uploaded')
      target.copyProps(source)
      return target
    } catch (error) {
      target.free()
      throw error
    }
  }

  free(): void {
    this.#frames.free()
    this.#device.free()
  }
}
