import { Scaler } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import {
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_PIX_FMT_YUV420P,
  AV_PKT_DATA_DISPLAYMATRIX,
  AVCOL_RANGE_MPEG,
  AVCOL_SPC_BT709,
} from 'node-av/constants'
import { Codec, CodecContext, FormatContext, Packet, Rational } from 'node-av/lib'

/**
 * Writes a video file (the container by the extension of `path`), H.264 with B-frames.
 *
 * @param options.timesMs presentation time of each picture; evenly spaced at `fps` unless given
 * @param options.quarterTurns clockwise turns that a player is told to make
 * @param options.keyEvery pictures from one key frame to the next
 */
export function writeClip(
  path: string,
  images: RgbImage[],
  options: { fps: number; timesMs?: number[]; quarterTurns?: number; keyEvery?: number },
): void {
  const { fps, timesMs = images.map((_, i) => (1000 * i) / fps), quarterTurns = 0, keyEvery = 50 } = options
  const encoder = Codec.findEncoderByName('libx264' as never) as Codec
  const context = new CodecContext()
  context.allocContext3(encoder)
  context.width = images[0].width
  context.height = images[0].height
  context.pixelFormat = AV_PIX_FMT_YUV420P
  context.timeBase = new Rational(1, 1000)
  context.framerate = new Rational(Math.round(fps * 1000), 1000)
  context.gopSize = keyEvery
  context.maxBFrames = 2
  context.threadCount = 1
  context.colorSpace = AVCOL_SPC_BT709
  context.colorRange = AVCOL_RANGE_MPEG
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER)
  context.setOption('crf', '16')
  context.setOption('x264-params', 'mbtree=0:b-adapt=0:scenecut=0:log-level=none')
  must(context.open2Sync(encoder, null))
  const format = new FormatContext()
  must(format.allocOutputContext2(null, null, path))
  const stream = format.newStream()
  must(stream.codecpar.fromContext(context))
  stream.timeBase = context.timeBase
  stream.avgFrameRate = context.framerate
  if (quarterTurns !== 0) {
    stream.codecpar.addCodedSideData(AV_PKT_DATA_DISPLAYMATRIX, displayMatrix(quarterTurns))
  }
  must(format.openOutputSync())
  must(format.writeHeaderSync(null))
  const packet = new Packet()
  packet.alloc()
  const scaler = new Scaler()
  for (const [i, image] of [...images, null].entries()) {
    const frame = image === null ? null : scaler.toYuv(image)
    if (frame !== null) frame.pts = BigInt(Math.round(timesMs[i]))
    must(context.sendFrameSync(frame))
    frame?.free()
    while (context.receivePacketSync(packet) >= 0) {
      packet.streamIndex = 0
      packet.rescaleTs(context.timeBase, stream.timeBase)
      must(format.interleavedWriteFrameSync(packet))
    }
  }
  must(format.writeTrailerSync())
  format.closeOutputSync()
  format.freeContext()
  packet.free()
  context.freeContext()
  scaler.dispose()
}

/** ISO/IEC 14496-12, 6.2.2: 16.16 fixed point, the last column 2.30. */
function displayMatrix(turns: number): Buffer {
  const [cos, sin] = [
    [1, 0],
    [0, 1],
    [-1, 0],
    [0, -1],
  ][turns]
  const matrix = Buffer.alloc(36)
  const values = [cos, sin, 0, -sin, cos, 0, 0, 0, 2 ** 14]
  for (const [i, value] of values.entries()) matrix.writeInt32LE(value * 65536, 4 * i)
  return matrix
}

function must(code: number): void {
  if (code < 0) throw new Error(`FFmpeg: ${code}`)
}
