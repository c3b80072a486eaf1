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
import { type SegmentCodec, withoutSei } from './bitstream.js'
import { check } from './ffmpeg.js'

export interface EncoderProfile {
  name: string
  /** Bounds of the quantiser (CRF). Below the least nothing is gained that a network would notice. */
  quantisers: { least: number; greatest: number }
  /** Least step of the quantiser that the encoder takes. */
  step: number
  /** How much the quantiser rises where the size halves, and bytes per pixel at the least one: first guesses for a search. */
  perHalving: number
  bytesPerPixel: number
  options: Record<string, string>
}

/**
 * One picture a second of a moving drone: most of it is intra-coded anyway, so the presets are medium ones.
 * Tuned for fidelity (tune psnr) rather than for eyes. One thread each, so that the same frames give the same
 * bytes on any number of cores; and no mbtree, whose AVX-512 code in this libx264 gives other bytes from run to run.
 * HEVC pictures carry an MD5 (hash=1), without which its decoder does not notice a slice that was cut short.
 */
export const profiles: Record<SegmentCodec, EncoderProfile> = {
  h264: {
    name: 'libx264',
    quantisers: { least: 18, greatest: 51 },
    step: 0.1,
    perHalving: 5,
    bytesPerPixel: 0.11,
    options: { preset: 'medium', tune: 'psnr', 'x264-params': 'mbtree=0:log-level=none' },
  },
  hevc: {
    name: 'libx265',
    quantisers: { least: 18, greatest: 51 },
    step: 0.1,
    perHalving: 5,
    bytesPerPixel: 0.11,
    options: {
      preset: 'medium',
      tune: 'psnr',
      'x265-params': 'log-level=none:info=0:hash=1:pools=none:frame-threads=1',
    },
  },
  av1: {
    name: 'libsvtav1',
    quantisers: { least: 20, greatest: 63 },
    step: 1,
    perHalving: 8,
    bytesPerPixel: 0.11,
    options: { preset: '8', 'svtav1-params': 'lp=1:tune=1' },
  },
}

/** Far more pictures than a segment has: one key frame, at its start. */
const GOP = 10_000

/**
 * Encodes pictures of one size as one clip at a constant quantiser: the elementary stream, one key frame, then
 * whatever references pay. Runs off the JS thread.
 */
export async function encodeClip(
  frames: Frame[],
  codec: SegmentCodec,
  quantiser: number,
): Promise<Uint8Array> {
  const { name, options } = profiles[codec]
  const encoder = Codec.findEncoderByName(name as FFVideoEncoder)
  if (encoder === null) throw new Error(`This FFmpeg has no ${name}`)
  const context = new CodecContext()
  const packet = new Packet()
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
    for (const [key, value] of Object.entries({ ...options, crf: String(quantiser) })) {
      check(context.setOption(key, value), `${name} does not take ${key}=${value}`)
    }
    check(await context.open2(encoder, null), `${name} does not open`)
    const parts: Uint8Array[] = []
    for (const [i, frame] of [...frames, null].entries()) {
      if (frame !== null) frame.pts = BigInt(i)
      check(await context.sendFrame(frame), `${name} does not take a picture`)
      while ((await context.receivePacket(packet)) >= 0) {
        parts.push(Buffer.from(packet.data as Buffer))
        packet.unref()
      }
    }
    if (parts.length !== frames.length) {
      throw new Error(`${name} made ${parts.length} pictures out of ${frames.length}`)
    }
    const stream = Buffer.concat(parts)
    return Uint8Array.from(codec === 'h264' ? withoutSei(stream) : stream)
  } finally {
    packet.free()
    context.freeContext()
  }
}
