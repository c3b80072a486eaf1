import type { RgbImage } from '@kestrel/models'
import { messageOf } from '@kestrel/runtime/errors'
import {
  AV_CODEC_ID_AV1,
  AV_CODEC_ID_H264,
  AV_CODEC_ID_HEVC,
  AVCOL_SPC_BT709,
  AVCOL_SPC_UNSPECIFIED,
  type AVCodecID,
} from 'node-av/constants'
import type { Frame } from 'node-av/lib'
import { MessageRefused } from '../messages.js'
import { type SegmentCodec, splitPictures } from './bitstream.js'
import { Decoder, isDamaged } from './decoder.js'
import { encodeClip } from './encoder.js'
import { type EncoderKind, type EncoderProfile, encoderProfile } from './encoder-profile.js'
import { reason } from './ffmpeg.js'
import { Scaler } from './scaler.js'

export interface EncodeOptions {
  codec: SegmentCodec
  /** Uplink budget. */
  targetKbps: number
  /** Over what time the budget counts (T_update), s: targetKbps · durationS · 125 bytes. */
  durationS: number
  /** What encodes; software unless given. */
  encoder?: EncoderKind
}

export interface DecodeOptions {
  codec: SegmentCodec
  /** What the segment says of itself; video that is not so is refused. */
  width: number
  height: number
  frames: number
  /** Of the video, bytes. */
  maxBytes?: number
}

/** A search ends once this much of the budget is used … */
const ENOUGH = 0.9
/** … and aims here. */
const AIM = 0.96
/** … and after this many encodings in any case. Two or three are usual; one where the budget is ample. */
const MAX_ENCODINGS = 6

/** Most bytes of video in a segment, and most pixels of all of its pictures together (0.4 GB as RGB). */
const MAX_BYTES = 8 * 1024 * 1024
const MAX_PIXELS = 134_217_728
const MAX_SIDE = 8192
/** libx265 spoils its own memory where a picture is one block of 64 wide: wrong streams at best (found by trial, with every option). */
const NARROWEST_HEVC = 66

/** The codec that takes pictures of this width: the one that is wanted, or H.264. */
export function codecFor(wanted: SegmentCodec, width: number): SegmentCodec {
  return wanted === 'hevc' && width < NARROWEST_HEVC ? 'h264' : wanted
}

/**
 * Encodes the frames that were sampled in one T_update as one clip (paper, section 3.2: two-pass H.264 at a
 * target bitrate). With ten pictures two-pass rate control misses its target by a tenth either way, so the passes
 * search the constant quantiser whose clip just fits the budget: the same distribution of quality, and a size that
 * is held. A few frames do not spend the budget for nothing: beyond the profile's least quantiser they are not improved.
 *
 * @param images RGB, all of one size with even sides, in order
 * @returns an elementary stream (Annex B, or AV1 OBUs); longer than the budget only where the coarsest
 *   quantiser still is
 */
export async function encodeSegment(images: RgbImage[], options: EncodeOptions): Promise<Uint8Array> {
  const { codec, targetKbps, durationS, encoder } = options
  const profile = encoderProfile(codec, encoder)
  if (profile === undefined) throw new RangeError(`There is no ${encoder} encoder for ${codec}`)
  const [first] = images
  if (first === undefined) throw new RangeError('A segment needs a frame')
  const { width, height } = first
  if (width % 2 !== 0 || height % 2 !== 0) {
    throw new RangeError(`Frames of a segment need even sides; found ${width}x${height}`)
  }
  const other = images.find(image => image.width !== width || image.height !== height)
  if (other !== undefined) {
    throw new RangeError(
      `Frames of a segment need one size; found ${width}x${height} and ${other.width}x${other.height}`,
    )
  }
  if (codecFor(codec, width) !== codec) {
    throw new RangeError(
      `Frames in HEVC need to be ${NARROWEST_HEVC} pixels wide or more; found ${width}x${height}`,
    )
  }
  const budget = (targetKbps * 1000 * durationS) / 8
  if (!(budget > 0))
    throw new RangeError(`A segment of ${targetKbps} kbit/s over ${durationS} s has no bytes`)
  const scaler = new Scaler()
  const frames: Frame[] = []
  try {
    for (const image of images) frames.push(scaler.toYuv(image))
    return await search(frames, profile, budget)
  } finally {
    for (const frame of frames) frame.free()
    scaler.dispose()
  }
}

/** The least quantiser whose clip fits: false position on log2(size), which falls about linearly with the quantiser. */
async function search(frames: Frame[], profile: EncoderProfile, budget: number): Promise<Uint8Array> {
  const { quantisers, step, perHalving, bytesPerPixel } = profile
  const { least, greatest } = quantisers
  const round = (q: number) => Math.min(greatest, Math.max(least, Math.round(q / step) * step))
  const aim = Math.log2(AIM * budget)
  const pixels = frames.length * frames[0].width * frames[0].height
  let fits: { q: number; bits: number; clip: Uint8Array } | undefined
  let tooBig: { q: number; bits: number } | undefined
  let q = round(least + perHalving * (Math.log2(bytesPerPixel * pixels) - aim))
  for (let encodings = 1; ; encodings++) {
    const clip = await encodeClip(frames, profile, Number(q.toFixed(2)))
    const bits = Math.log2(clip.length)
    if (clip.length <= budget) fits = { q, bits, clip }
    else tooBig = { q, bits }
    if (q === least && fits?.q === q) return clip
    if (q === greatest && tooBig?.q === q) return clip
    if (fits !== undefined && (fits.clip.length >= ENOUGH * budget || encodings >= MAX_ENCODINGS))
      return fits.clip
    const from = fits ?? tooBig!
    const slope =
      fits !== undefined && tooBig !== undefined && tooBig.bits > fits.bits
        ? (fits.q - tooBig.q) / (tooBig.bits - fits.bits)
        : perHalving
    const next = round(from.q + slope * (from.bits - aim))
    // Strictly between what is known to be too big and what is known to fit; where nothing is left there, done.
    const low = tooBig === undefined ? least : tooBig.q + step
    const high = fits === undefined ? greatest : fits.q - step
    if (fits !== undefined && high < low - step / 2) return fits.clip
    q = encodings >= MAX_ENCODINGS ? greatest : round(Math.min(high, Math.max(low, next)))
  }
}

export const codecIds: Record<SegmentCodec, AVCodecID> = {
  h264: AV_CODEC_ID_H264,
  hevc: AV_CODEC_ID_HEVC,
  av1: AV_CODEC_ID_AV1,
}

/**
 * The pictures of a segment, in order. The bytes come from the other side: everything about them is bounded before
 * it is decoded, and damage is refused rather than guessed over, since wrong pictures would be learned from.
 *
 * @throws MessageRefused with the reason
 */
export async function decodeSegment(bytes: Uint8Array, options: DecodeOptions): Promise<RgbImage[]> {
  const { codec, width, height, frames, maxBytes = MAX_BYTES } = options
  if (bytes.length > maxBytes) {
    throw new MessageRefused(
      'too-big',
      `A segment's video of ${bytes.length} bytes; at most ${maxBytes} are taken`,
    )
  }
  if (!Object.hasOwn(codecIds, codec)) throw new MessageRefused('wrong-codec', `No codec is called ${codec}`)
  for (const side of [width, height]) {
    if (!Number.isInteger(side) || side < 16 || side > MAX_SIDE) {
      throw new MessageRefused(
        'wrong-size',
        `Pictures of ${width}x${height}; sides of 16 to ${MAX_SIDE} are taken`,
      )
    }
  }
  if (!Number.isInteger(frames) || frames < 1 || frames * width * height > MAX_PIXELS) {
    throw new MessageRefused(
      'wrong-count',
      `A segment of ${frames} pictures of ${width}x${height} is not taken`,
    )
  }
  const pictures = splitPictures(bytes, codec)
  if (pictures.length !== frames) {
    throw new MessageRefused(
      'wrong-count',
      `The segment says ${frames} pictures, its video has ${pictures.length}`,
    )
  }
  return decodePictures(pictures, options)
}

async function decodePictures(pictures: Uint8Array[], options: DecodeOptions): Promise<RgbImage[]> {
  const { codec, width, height, frames } = options
  const whole = (side: number) => Math.ceil(side / 64) * 64
  // Coded sizes are whole blocks; a stream that asks for more fails before its pictures are allocated.
  const decoder = new Decoder(codecIds[codec], { strict: true, maxPixels: whole(width) * whole(height) })
  const scaler = new Scaler()
  const images: RgbImage[] = []
  const refuse = (detail: string): never => {
    throw new MessageRefused(
      'undecodable',
      `The segment's ${codec} video is damaged, or not of ${width}x${height}: ${detail}`,
    )
  }
  try {
    for (const picture of [...pictures, null]) {
      const sent = decoder.send(picture)
      if (sent < 0) refuse(reason(sent))
      for (let frame = decoder.receive(); frame !== undefined; frame = decoder.receive()) {
        if (typeof frame === 'number') return refuse(reason(frame))
        if (isDamaged(frame)) refuse('a picture is incomplete')
        if (frame.width !== width || frame.height !== height) {
          throw new MessageRefused(
            'wrong-size',
            `The segment says ${width}x${height}, its video is ${frame.width}x${frame.height}`,
          )
        }
        if (images.length === frames) {
          throw new MessageRefused('wrong-count', `The segment's video has more than ${frames} pictures`)
        }
        // What every segment is (Scaler.toYuv); some encoders leave it out.
        if (frame.colorSpace === AVCOL_SPC_UNSPECIFIED) frame.colorSpace = AVCOL_SPC_BT709
        images.push(scaler.toRgb(frame))
      }
      // Other work gets its turn between pictures.
      await new Promise(resolve => setImmediate(resolve))
    }
  } catch (error) {
    if (error instanceof MessageRefused) throw error
    refuse(messageOf(error))
  } finally {
    scaler.dispose()
    decoder.close()
  }
  if (images.length !== frames) {
    throw new MessageRefused(
      'wrong-count',
      `The segment says ${frames} pictures, its video shows ${images.length}`,
    )
  }
  return images
}
