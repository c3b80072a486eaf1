import type { RgbImage } from '@kestrel/models'
import { MessageRefused } from '../messages.js'
import type { SegmentCodec } from './bitstream.js'
import { Decoder, isDamaged } from './decoder.js'
import { reason } from './ffmpeg.js'
import { Scaler } from './scaler.js'
import { codecIds } from './segment.js'

/** 8K: no camera of a drone samples larger pictures. */
const MAX_PIXELS = 7680 * 4320

/**
 * The pictures of a clip that was taken apart, as logs keep it: one access unit each, beginning with a key frame, in the order in which they
 * were encoded. They come out in the order in which they are shown, one at a time, as the reader asks.
 *
 * @throws MessageRefused where it cannot be decoded; what came before is whole
 */
export async function* decodeClip(
  accessUnits: Iterable<Uint8Array>,
  codec: SegmentCodec,
): AsyncGenerator<RgbImage> {
  const decoder = new Decoder(codecIds[codec], { strict: true, maxPixels: MAX_PIXELS })
  const scaler = new Scaler()
  const refuse = (detail: string): never => {
    throw new MessageRefused('undecodable', `The ${codec} clip is damaged: ${detail}`)
  }
  try {
    for (const unit of chain(accessUnits, null)) {
      const sent = unit === null ? decoder.send(null) : await decoder.sendBytesLater(unit)
      if (sent < 0) refuse(reason(sent))
      for (;;) {
        const frame = decoder.receive()
        if (frame === undefined) break
        if (typeof frame === 'number') return refuse(reason(frame))
        if (isDamaged(frame)) refuse('a picture is')
        yield scaler.toRgb(frame)
      }
    }
  } finally {
    scaler.dispose()
    decoder.close()
  }
}

function* chain<T>(all: Iterable<T>, last: null): Generator<T | null> {
  yield* all
  yield last
}
