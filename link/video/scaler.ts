import './ffmpeg.js'
import type { RgbImage } from '@kestrel/models'
import {
  AV_PIX_FMT_RGB24,
  AV_PIX_FMT_YUV420P,
  AV_PIX_FMT_YUVJ420P,
  AVCOL_PRI_BT709,
  AVCOL_RANGE_JPEG,
  AVCOL_RANGE_MPEG,
  AVCOL_SPC_BT470BG,
  AVCOL_SPC_BT709,
  AVCOL_SPC_UNSPECIFIED,
  AVCOL_TRC_BT709,
  type AVPixelFormat,
} from 'node-av/constants'
import { Frame, SoftwareScaleContext } from 'node-av/lib'
import { check } from './ffmpeg.js'

/** All of the chroma, both ways. (accurate_rnd and bitexact would rule out the fast 4:2:0 to RGB path, three times as slow.) */
const CHROMA = 'full_chroma_int+full_chroma_inp'

/**
 * Changes the size and the pixel format of pictures with swscale: area averaging where it shrinks, bilinear
 * where it grows. Colours follow what the pictures say about themselves (matrix and range); where they say nothing,
 * BT.709 from 720 lines on and BT.601 below, as players do.
 *
 * Contexts and output frames are kept between calls; call `dispose()` at the end.
 */
export class Scaler {
  #shrink: SoftwareScaleContext | undefined
  #grow: SoftwareScaleContext | undefined

  /** The picture at another size (the very same object where the size is already right). */
  scale(image: RgbImage, width: number, height: number): RgbImage {
    if (image.width === width && image.height === height) return image
    const source = rgbFrame(image)
    try {
      return this.toRgb(source, width, height)
    } finally {
      source.free()
    }
  }

  /** A decoded picture as packed RGB, in one pass to another size where one is given. */
  toRgb(source: Frame, width = source.width, height = source.height): RgbImage {
    describeColours(source)
    return unpack(this.#convert(source, AV_PIX_FMT_RGB24, width, height))
  }

  /** A decoded picture as packed RGB at its own size, off the JS thread. One at a time; the caller keeps `source` until then. */
  async toRgbLater(source: Frame): Promise<RgbImage> {
    describeColours(source)
    const { width, height } = source
    const target = allocate(AV_PIX_FMT_RGB24, width, height)
    try {
      const code = await this.#context(source, width, height).scaleFrame(target, source)
      check(code, `Cannot convert a picture of ${width}x${height}`)
    } catch (error) {
      target.free()
      throw error
    }
    return unpack(target)
  }

  /** A picture as the encoders take it, 4:2:0, BT.709, limited range. The caller frees it. */
  toYuv(image: RgbImage): Frame {
    const source = rgbFrame(image)
    try {
      return this.#convert(source, AV_PIX_FMT_YUV420P, image.width, image.height)
    } finally {
      source.free()
    }
  }

  /** A picture as JPEG files hold it, 4:2:0, BT.601, full range. The caller frees it. */
  toJpegYuv(image: RgbImage): Frame {
    const source = rgbFrame(image)
    try {
      return this.#convert(source, AV_PIX_FMT_YUVJ420P, image.width, image.height)
    } finally {
      source.free()
    }
  }

  dispose(): void {
    this.#shrink?.freeContext()
    this.#grow?.freeContext()
    this.#shrink = this.#grow = undefined
  }

  #convert(source: Frame, format: AVPixelFormat, width: number, height: number): Frame {
    const target = allocate(format, width, height)
    if (format === AV_PIX_FMT_YUV420P) {
      target.colorSpace = AVCOL_SPC_BT709
      target.colorRange = AVCOL_RANGE_MPEG
      target.colorPrimaries = AVCOL_PRI_BT709
      target.colorTrc = AVCOL_TRC_BT709
    } else if (format === AV_PIX_FMT_YUVJ420P) {
      target.colorSpace = AVCOL_SPC_BT470BG
      target.colorRange = AVCOL_RANGE_JPEG
    }
    try {
      check(
        this.#context(source, width, height).scaleFrameSync(target, source),
        `Cannot convert a picture of ${source.width}x${source.height} to ${width}x${height}`,
      )
    } catch (error) {
      target.free()
      throw error
    }
    return target
  }

  #context(source: Frame, width: number, height: number): SoftwareScaleContext {
    if (width < source.width || height < source.height) {
      this.#shrink ??= createContext('area')
      return this.#shrink
    }
    this.#grow ??= createContext('bilinear')
    return this.#grow
  }
}

/**
 * A context that was only allocated: `scaleFrame` then sets it up from what the two frames say, matrix and range
 * included, and again when they change. (One set up by size and format would take every YUV for BT.601.)
 */
function createContext(algorithm: string): SoftwareScaleContext {
  const context = new SoftwareScaleContext()
  context.allocContext()
  context.setOption('sws_flags', `${algorithm}+${CHROMA}`)
  return context
}

function allocate(format: AVPixelFormat, width: number, height: number): Frame {
  const frame = new Frame()
  frame.alloc()
  frame.width = width
  frame.height = height
  frame.format = format
  try {
    check(frame.getBuffer(), `No memory for a picture of ${width}x${height}`)
  } catch (error) {
    frame.free()
    throw error
  }
  return frame
}

/** The pixels of an RGB frame, which is freed. */
function unpack(frame: Frame): RgbImage {
  try {
    const { width, height } = frame
    const data = frame.toBuffer()
    return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
  } finally {
    frame.free()
  }
}

function rgbFrame(image: RgbImage): Frame {
  const { width, height, data } = image
  if (data.length !== 3 * width * height) {
    throw new RangeError(
      `A ${width}x${height} RGB image has ${3 * width * height} bytes; found ${data.length}`,
    )
  }
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return Frame.fromVideoBuffer(buffer, { width, height, format: AV_PIX_FMT_RGB24 })
}

function describeColours(frame: Frame): void {
  if (frame.colorSpace !== AVCOL_SPC_UNSPECIFIED) return
  frame.colorSpace = frame.height >= 720 ? AVCOL_SPC_BT709 : AVCOL_SPC_BT470BG
}
