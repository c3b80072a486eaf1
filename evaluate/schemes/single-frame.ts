import type { Frame } from '@kestrel/agent'
import { decodeSegment, encodeSegment, type Segment } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import type { LinkMeter } from '../link-meter.js'

type Codec = 'h264' | 'hevc' | 'av1'

const wireCodecs: Record<Codec, number> = { h264: 1, hevc: 2, av1: 3 }

/**
 * Sends one frame up at once, as a segment of its own: what schemes do that cannot wait for a clip to fill.
 *
 * @param image the frame at the size at which it is sent (even width and height)
 * @param options.frameKbit budget of the frame, kbit
 * @returns the picture as the ground decodes it
 */
export async function sendFrame(
  link: LinkMeter,
  frame: Frame,
  image: RgbImage,
  options: { codec: Codec; frameKbit: number; sequence: number; modelVersion: number },
): Promise<RgbImage> {
  const { codec, frameKbit, sequence, modelVersion } = options
  const { width, height } = image
  const captureUs = BigInt(Math.round(frame.captureMs * 1000))
  const segment: Segment = link.up({
    case: 'segment',
    value: {
      sequence: BigInt(sequence),
      codec: wireCodecs[codec],
      width,
      height,
      frames: [{ frameId: BigInt(frame.id), captureUs, sourceIndex: BigInt(frame.sourceIndex) }],
      video: await encodeSegment([image], { codec, targetKbps: frameKbit, durationS: 1 }),
      modelVersion,
      beginUs: captureUs,
      endUs: captureUs,
    },
  })
  const [decoded] = await decodeSegment(segment.video, { codec, width, height, frames: 1 })
  return decoded
}
