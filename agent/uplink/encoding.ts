import type { EncoderKind } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'

export type SegmentCodec = 'h264' | 'hevc' | 'av1'

export interface EncodeOptions {
  codec: SegmentCodec
  targetKbps: number
  durationS: number
  /** Software unless given. */
  encoder?: EncoderKind
}

/** Encodes the frames of a segment as link's `encodeSegment` does; in this process, or where it disturbs nobody. */
export type SegmentEncode = (images: RgbImage[], options: EncodeOptions) => Promise<Uint8Array>

/** What an encode job says to the worker. The images' buffers are moved, not copied. */
export interface EncodeJob {
  id: number
  images: RgbImage[]
  options: EncodeOptions
}

/** `failed` is why another encoder than software did not encode it, and software did. */
export type EncodeAnswer = { id: number; bytes: Uint8Array; failed?: string } | { id: number; error: string }
