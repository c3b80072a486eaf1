import { Scaler } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import { AV_PIX_FMT_YUVJ420P } from 'node-av/constants'
import { Codec, CodecContext, Packet, Rational } from 'node-av/lib'
import { movingScene } from '../../link/pictures.js'

/** JPEGs of a moving scene, as a camera makes them. */
export function jpegs(count: number, width = 48, height = 32): Buffer[] {
  return Array.from({ length: count }, (_, i) => jpeg(movingScene(i, width, height)))
}

/** A picture as JPEG. */
export function jpeg(image: RgbImage): Buffer {
  const encoder = Codec.findEncoderByName('mjpeg' as never) as Codec
  const context = new CodecContext()
  const packet = new Packet()
  const scaler = new Scaler()
  const frame = scaler.toYuv(image)
  try {
    context.allocContext3(encoder)
    packet.alloc()
    context.width = image.width
    context.height = image.height
    context.pixelFormat = AV_PIX_FMT_YUVJ420P
    context.timeBase = new Rational(1, 25)
    context.setOption('strict', 'unofficial')
    if (context.open2Sync(encoder, null) < 0) throw new Error('FFmpeg has no JPEG encoder')
    frame.format = AV_PIX_FMT_YUVJ420P
    frame.pts = 0n
    context.sendFrameSync(frame)
    if (context.receivePacketSync(packet) < 0) throw new Error('no JPEG came out')
    return Buffer.from(packet.data as Buffer)
  } finally {
    frame.free()
    packet.free()
    context.freeContext()
    scaler.dispose()
  }
}
