import './ffmpeg.js'
import type { RgbImage } from '@kestrel/models'
import {
  AV_CODEC_ID_MJPEG,
  AV_PIX_FMT_BGR24,
  AV_PIX_FMT_GRAY8,
  AV_PIX_FMT_NV12,
  AV_PIX_FMT_RGB24,
  AV_PIX_FMT_UYVY422,
  AV_PIX_FMT_YUV420P,
  AV_PIX_FMT_YUYV422,
  type AVPixelFormat,
} from 'node-av/constants'
import { Frame } from 'node-av/lib'
import { Decoder, isDamaged } from './decoder.js'
import { check, reason } from './ffmpeg.js'
import { Scaler } from './scaler.js'

/** How the pixels of an uncompressed picture lie in memory, as V4L2, GStreamer and rpicam-vid give them. */
export type PixelFormat = 'rgb24' | 'bgr24' | 'yuyv' | 'uyvy' | 'nv12' | 'yuv420p' | 'grey'

interface Plane {
  /** Bytes of a line for each two pixels of width, and lines for each two of height. */
  bytesPer2: number
  linesPer2: number
}

const packed = (bytesPer2: number): Plane[] => [{ bytesPer2, linesPer2: 2 }]

const layouts: Record<PixelFormat, { format: AVPixelFormat; planes: Plane[] }> = {
  rgb24: { format: AV_PIX_FMT_RGB24, planes: packed(6) },
  bgr24: { format: AV_PIX_FMT_BGR24, planes: packed(6) },
  yuyv: { format: AV_PIX_FMT_YUYV422, planes: packed(4) },
  uyvy: { format: AV_PIX_FMT_UYVY422, planes: packed(4) },
  grey: { format: AV_PIX_FMT_GRAY8, planes: packed(2) },
  nv12: { format: AV_PIX_FMT_NV12, planes: [...packed(2), { bytesPer2: 2, linesPer2: 1 }] },
  yuv420p: {
    format: AV_PIX_FMT_YUV420P,
    planes: [...packed(2), { bytesPer2: 1, linesPer2: 1 }, { bytesPer2: 1, linesPer2: 1 }],
  },
}

export const pixelFormats = Object.keys(layouts) as PixelFormat[]

/** An uncompressed picture's description. */
export interface RawPicture {
  format: PixelFormat
  width: number
  height: number
  /** Bytes from one line of the first plane to the next, where the lines are padded. */
  bytesPerLine?: number
}

/** How many bytes an uncompressed picture has. @throws RangeError where its sides do not go with its format */
export function pictureBytes({ format, width, height, bytesPerLine }: RawPicture): number {
  return planesOf({ format, width, height, bytesPerLine }).reduce(
    (sum, { stride, lines }) => sum + stride * lines,
    0,
  )
}

function planesOf({ format, width, height, bytesPerLine }: RawPicture) {
  const { planes } = layouts[format]
  const [first] = planes
  const even = planes.length > 1 || format === 'yuyv' || format === 'uyvy'
  if (even && (width % 2 !== 0 || (planes.length > 1 && height % 2 !== 0))) {
    throw new RangeError(`A ${format} picture has even sides; found ${width}x${height}`)
  }
  return planes.map(({ bytesPer2, linesPer2 }) => {
    const line = (width * bytesPer2) / 2
    const stride = bytesPerLine === undefined ? line : (bytesPerLine * bytesPer2) / first.bytesPer2
    return { line, stride: Math.max(line, stride), lines: (height * linesPer2) / 2 }
  })
}

/** What no camera's picture exceeds. */
const MAX_PIXELS = 134_217_728

/**
 * Turns what a camera gives, JPEG by JPEG or uncompressed, into RGB, off the JS thread. One picture at a time; the decoder is kept
 * from one to the next. Call `dispose()` at the end, not before the last picture is done.
 */
export class PictureDecoder {
  readonly #scaler = new Scaler()
  #jpeg: Decoder | undefined

  /** @throws Error that says what is wrong with the picture */
  async decodeJpeg(bytes: Uint8Array): Promise<RgbImage> {
    this.#jpeg ??= new Decoder(AV_CODEC_ID_MJPEG, { maxPixels: MAX_PIXELS, strict: true })
    check(await this.#jpeg.sendBytesLater(bytes), 'the JPEG decoder refuses it')
    const frame = await this.#jpeg.receiveLater()
    if (frame === undefined) throw new Error('no whole JPEG')
    if (typeof frame === 'number') throw new Error(reason(frame))
    if (isDamaged(frame)) throw new Error('a damaged JPEG')
    return this.#scaler.toRgbLater(frame)
  }

  /** @throws Error where the bytes are fewer than such a picture has */
  async decodeRaw(bytes: Uint8Array, picture: RawPicture): Promise<RgbImage> {
    const { format, width, height } = picture
    if (bytes.length < pictureBytes(picture)) {
      throw new Error(
        `${bytes.length} bytes; a ${format} picture of ${width}x${height} has ${pictureBytes(picture)}`,
      )
    }
    const data = withoutPadding(bytes, picture)
    if (format === 'rgb24') return { width, height, data }
    const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const frame = Frame.fromVideoBuffer(buffer, { width, height, format: layouts[format].format })
    try {
      return await this.#scaler.toRgbLater(frame)
    } finally {
      frame.free()
    }
  }

  dispose(): void {
    this.#jpeg?.close()
    this.#jpeg = undefined
    this.#scaler.dispose()
  }
}

/** The planes one behind the other, without what pads their lines; a view where there is nothing to leave out. */
export function withoutPadding(bytes: Uint8Array, picture: RawPicture): Uint8Array {
  const planes = planesOf(picture)
  const total = planes.reduce((sum, { line, lines }) => sum + line * lines, 0)
  if (planes.every(({ line, stride }) => line === stride)) return bytes.subarray(0, total)
  const out = new Uint8Array(total)
  let from = 0
  let to = 0
  for (const { line, stride, lines } of planes) {
    for (let y = 0; y < lines; y++, from += stride, to += line) out.set(bytes.subarray(from, from + line), to)
  }
  return out
}
