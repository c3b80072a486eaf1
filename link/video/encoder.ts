import './ffmpeg.js'
import {
  AV_PIX_FMT_YUV420P,
  AVCOL_PRI_BT709,
  AVCOL_RANGE_MPEG,
  AVCOL_SPC_BT709,
  AVCOL_TRC_BT709,
  type FFVideoEncoder,
} from 'node-av/constants'
import { Codec, CodecContext, type Frame, Packet, Rational } from 'node-av/lib'
import { splitPictures, withoutSei } from './bitstream.js'
import type { EncoderProfile } from './encoder-profile.js'
import { check } from './ffmpeg.js'
import { VaapiSurfaces } from './vaapi.js'

/** Far more pictures than a segment has: one key frame, at its start. */
const GOP = 10_000

/**
 * Encodes pictures of one size as one clip at a constant quantiser: the elementary stream, one key frame, then
 * whatever references pay. Runs off the JS thread.
 */
export async function encodeClip(
  frames: Frame[],
  profile: EncoderProfile,
  quantiser: number,
): Promise<Uint8Array> {
  const { codec, name, options } = profile
  const encoder = Codec.findEncoderByName(name as FFVideoEncoder)
  if (encoder === null) throw new Error(`This FFmpeg has no ${name}`)
  const context = new CodecContext()
  const packet = new Packet()
  let surfaces: VaapiSurfaces | undefined
  context.allocContext3(encoder)
  packet.alloc()
  try {
    context.width = frames[0].width
    context.height = frames[0].height
    context.pixelFormat = AV_PIX_FMT_YUV420P
    context.timeBase = new Rational(1, 25)
    context.framerate = new Rational(25, 1)
    context.gopSize = GOP
    context.threadCount = 1
    context.colorSpace = AVCOL_SPC_BT709
    context.colorRange = AVCOL_RANGE_MPEG
    context.colorPrimaries = AVCOL_PRI_BT709
    context.colorTrc = AVCOL_TRC_BT709
    for (const [key, value] of Object.entries({ ...options, ...profile.quantiser(quantiser) })) {
      check(context.setOption(key, value), `${name} does not take ${key}=${value}`)
    }
    if (profile.device === 'vaapi') surfaces = new VaapiSurfaces(context)
    check(await context.open2(encoder, null), `${name} does not open`)
    const parts: Uint8Array[] = []
    for (const [i, frame] of [...frames, null].entries()) {
      if (frame !== null) frame.pts = BigInt(i)
      const uploaded = frame === null ? undefined : await surfaces?.upload(frame)
      const sent = await context.sendFrame(uploaded ?? frame)
      uploaded?.free()
      check(sent, `${name} does not take a picture`)
      while ((await context.receivePacket(packet)) >= 0) {
        parts.push(Buffer.from(packet.data as Buffer))
        packet.unref()
      }
    }
    const stream = Buffer.concat(parts)
    // Counted in the stream: some encoders hand out their parameter sets by themselves.
    const count = parts.length === 0 ? 0 : splitPictures(stream, codec).length
    if (count !== frames.length) throw new Error(`${name} made ${count} pictures out of ${frames.length}`)
    return Uint8Array.from(codec === 'h264' ? withoutSei(stream) : stream)
  } finally {
    packet.free()
    context.freeContext()
    surfaces?.free()
  }
}
