import { MessageRefused } from '../messages.js'
import { type Segment, VideoCodec } from '../proto/kestrel_pb.js'
import { type SegmentCodec, splitPictures } from './bitstream.js'

/** Names of the codecs, as Foxglove's CompressedVideo has them. */
export type VideoFormat = 'h264' | 'h265' | 'av1'

const formats = new Map<VideoCodec, { codec: SegmentCodec; format: VideoFormat }>([
  [VideoCodec.H264, { codec: 'h264', format: 'h264' }],
  [VideoCodec.HEVC, { codec: 'hevc', format: 'h265' }],
  [VideoCodec.AV1, { codec: 'av1', format: 'av1' }],
])

/**
 * The pictures of a segment, as they stand in its clip: one for each of its frames, in their order. Views into the clip.
 *
 * @throws MessageRefused where the clip does not have as many
 */
export function splitSegment(segment: Segment): { format: VideoFormat; pictures: Uint8Array[] } {
  const known = formats.get(segment.codec)
  if (known === undefined)
    throw new MessageRefused('wrong-codec', `Video codec ${segment.codec} is not known`)
  const pictures = splitPictures(segment.video, known.codec)
  const { length } = segment.frames
  if (pictures.length !== length) {
    throw new MessageRefused(
      'wrong-count',
      `The segment says ${length} pictures, its video has ${pictures.length}`,
    )
  }
  return { format: known.format, pictures }
}
