import type { SegmentCodec } from './bitstream.js'

/** What encodes segments: the processor, or a part of the board or graphics card made for it. */
export type EncoderKind = 'software' | 'nvenc' | 'vaapi' | 'v4l2m2m'

export interface EncoderProfile {
  codec: SegmentCodec
  /** FFmpeg's name of the encoder. */
  name: string
  /** Bounds of the quantiser. Below the least nothing is gained that a network would notice. */
  quantisers: { least: number; greatest: number }
  /** Least step of the quantiser that the encoder takes. */
  step: number
  /** How much the quantiser rises where the size halves, and bytes per pixel at the least one: first guesses for a search. */
  perHalving: number
  bytesPerPixel: number
  options: Record<string, string>
  /** How the encoder is told its quantiser. */
  quantiser: (q: number) => Record<string, string>
  /** Where pictures have to be uploaded before they are encoded. */
  device?: 'vaapi'
}

const crf = (q: number) => ({ crf: String(q) })

/**
 * One picture a second of a moving drone: most of it is intra-coded anyway, so the presets are medium ones.
 * Tuned for fidelity (tune psnr) rather than for eyes. One thread each, so that the same frames give the same
 * bytes on any number of cores; and no mbtree, whose AVX-512 code in this libx264 gives other bytes from run to run.
 * No B-frames: between pictures a second apart they save nothing (the same PSNR for the same bytes, measured), and without them the n-th
 * picture in the clip is the n-th frame, as players of flight logs expect.
 * HEVC pictures carry an MD5 (hash=1), without which its decoder does not notice a slice that was cut short.
 */
const software: Record<SegmentCodec, EncoderProfile> = {
  h264: {
    codec: 'h264',
    name: 'libx264',
    quantisers: { least: 18, greatest: 51 },
    step: 0.1,
    perHalving: 5,
    bytesPerPixel: 0.11,
    options: { preset: 'medium', tune: 'psnr', 'x264-params': 'mbtree=0:bframes=0:log-level=none' },
    quantiser: crf,
  },
  hevc: {
    codec: 'hevc',
    name: 'libx265',
    quantisers: { least: 18, greatest: 51 },
    step: 0.1,
    perHalving: 5,
    bytesPerPixel: 0.11,
    options: {
      preset: 'medium',
      tune: 'psnr',
      'x265-params': 'log-level=none:info=0:hash=1:pools=none:frame-threads=1:bframes=0',
    },
    quantiser: crf,
  },
  av1: {
    codec: 'av1',
    name: 'libsvtav1',
    quantisers: { least: 20, greatest: 63 },
    step: 1,
    perHalving: 8,
    bytesPerPixel: 0.11,
    options: { preset: '8', 'svtav1-params': 'lp=1:tune=1' },
    quantiser: crf,
  },
}

/** H.264 and HEVC quantisers are of one scale, whoever made the encoder, in whole steps (H.264 section 7.4.2.2, HEVC 7.4.3.3.1). */
const wholeSteps = { quantisers: { least: 18, greatest: 51 }, step: 1, perHalving: 6, bytesPerPixel: 0.11 }

/** No B-frames, so that no picture waits for a later one. */
const hardware: Record<Exclude<EncoderKind, 'software'>, (codec: 'h264' | 'hevc') => EncoderProfile> = {
  nvenc: codec => ({
    ...wholeSteps,
    codec,
    name: `${codec}_nvenc`,
    options: { rc: 'constqp', preset: 'p5', bf: '0', delay: '0' },
    quantiser: q => ({ qp: String(q) }),
  }),
  vaapi: codec => ({
    ...wholeSteps,
    codec,
    name: `${codec}_vaapi`,
    options: { rc_mode: 'CQP', bf: '0' },
    quantiser: q => ({ qp: String(q) }),
    device: 'vaapi',
  }),
  // It has a bit rate only; between equal bounds (V4L2_CID_MPEG_VIDEO_H264_MIN_QP, _MAX_QP) that leaves it no choice.
  v4l2m2m: codec => ({
    ...wholeSteps,
    codec,
    name: `${codec}_v4l2m2m`,
    options: { b: '20000000' },
    quantiser: q => ({ qmin: String(q), qmax: String(q) }),
  }),
}

/** How a kind of encoder is driven; undefined for AV1 in hardware, which no companion computer has. */
export function encoderProfile(
  codec: SegmentCodec,
  kind: EncoderKind = 'software',
): EncoderProfile | undefined {
  if (kind === 'software') return software[codec]
  return codec === 'av1' ? undefined : hardware[kind](codec)
}
