import './ffmpeg.js'
import type { RgbImage } from '@kestrel/models'
import {
  AV_CODEC_FLAG_QSCALE,
  AV_PIX_FMT_YUVJ420P,
  AVCOL_RANGE_JPEG,
  AVCOL_SPC_BT470BG,
  FF_ENCODER_MJPEG,
} from 'node-av/constants'
import { Codec, CodecContext, Packet, Rational } from 'node-av/lib'
import { check } from './ffmpeg.js'
import { Scaler } from './scaler.js'

/** FFmpeg's lambda for quantiser 1. */
const QP2LAMBDA = 118

/**
 * A picture as a JPEG file, off the JS thread but for the change of colour space.
 *
 * @param options.quantiser 2 (best) to 31; 5 looks like the picture at a tenth of its size
 */
export async function encodeJpeg(
  image: RgbImage,
  options: { quantiser?: number } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { quantiser = 5 } = options
  const encoder = Codec.findEncoderByName(FF_ENCODER_MJPEG)
  if (encoder === null) throw new Error('This FFmpeg has no JPEG encoder')
  const scaler = new Scaler()
  const context = new CodecContext()
  const packet = new Packet()
  context.allocContext3(encoder)
  packet.alloc()
  const frame = scaler.toJpegYuv(image)
  try {
    context.width = frame.width
    context.height = frame.height
    context.pixelFormat = AV_PIX_FMT_YUVJ420P
    context.colorRange = AVCOL_RANGE_JPEG
    context.colorSpace = AVCOL_SPC_BT470BG
    context.timeBase = new Rational(1, 25)
    context.threadCount = 1
    context.setFlags(AV_CODEC_FLAG_QSCALE)
    context.globalQuality = QP2LAMBDA * quantiser
    check(await context.open2(encoder, null), 'The JPEG encoder does not open')
    frame.pts = 0n
    frame.quality = QP2LAMBDA * quantiser
    check(await context.sendFrame(frame), 'The JPEG encoder does not take a picture')
    check(await context.sendFrame(null), 'The JPEG encoder does not end')
    check(await context.receivePacket(packet), 'The JPEG encoder gives no picture')
    return Uint8Array.from(packet.data as Buffer)
  } finally {
    frame.free()
    packet.free()
    context.freeContext()
    scaler.dispose()
  }
}
