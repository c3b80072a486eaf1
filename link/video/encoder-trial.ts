import type { RgbImage } from '@kestrel/models'
import type { Frame } from 'node-av/lib'
import type { SegmentCodec } from './bitstream.js'
import { encodeClip } from './encoder.js'
import { type EncoderKind, encoderProfile } from './encoder-profile.js'
import { Scaler } from './scaler.js'
import { decodeSegment } from './segment.js'

/** As large as segments are, and no multiple of 64, at which encoders like to round. */
const WIDTH = 512
const HEIGHT = 288
const PICTURES = 4
/** A fine quantiser must keep what is seen; a coarse one must give far less. */
const FINE = 22
const COARSE = 40
const LEAST_DB = 28
const MOST_OF_FINE = 0.5

/**
 * Encodes a few pictures and decodes them again.
 *
 * @param encode encodes frames at a quantiser; that of `kind` unless given
 * @throws Error that says why this encoder cannot be used
 */
export async function tryEncoder(
  codec: SegmentCodec,
  kind: EncoderKind,
  encode?: (frames: Frame[], quantiser: number) => Promise<Uint8Array>,
): Promise<void> {
  const profile = encoderProfile(codec, kind)
  if (profile === undefined) throw new Error(`there is no ${codec} for ${kind}`)
  const clip = encode ?? ((frames, quantiser) => encodeClip(frames, profile, quantiser))
  const scaler = new Scaler()
  const images = Array.from({ length: PICTURES }, (_, i) => testPicture(i))
  const frames = images.map(image => scaler.toYuv(image))
  try {
    const fine = await clip(frames, FINE)
    const options = { codec, width: WIDTH, height: HEIGHT, frames: PICTURES }
    for (const [i, image] of (await decodeSegment(fine, options)).entries()) {
      const likeness = psnr(images[i], image)
      if (likeness < LEAST_DB) throw new Error(`picture ${i} comes back wrong (${likeness.toFixed(1)} dB)`)
    }
    const coarse = await clip(frames, COARSE)
    await decodeSegment(coarse, options)
    if (coarse.length > MOST_OF_FINE * fine.length) {
      throw new Error(
        `it does not follow its quantiser (${fine.length} bytes at ${FINE}, ${coarse.length} at ${COARSE})`,
      )
    }
  } finally {
    for (const frame of frames) frame.free()
    scaler.dispose()
  }
}

/** Colours, edges, and grain of which each picture has its own. */
function testPicture(index: number): RgbImage {
  const data = new Uint8Array(3 * WIDTH * HEIGHT)
  for (let y = 0, at = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++, at += 3) {
      const u = x + 6 * index
      const texture = (Math.imul(u + 977 * index, 7919) ^ Math.imul(y + 1, 104_729) ^ Math.imul(u, y)) & 31
      const bar = Math.floor(u / 64) % 4
      data[at] = 110 + texture + (bar === 0 ? 90 : 0)
      data[at + 1] = 110 + texture + (bar === 1 ? 90 : 0)
      data[at + 2] = 110 + texture + (bar === 2 ? 90 : 0)
    }
  }
  return { width: WIDTH, height: HEIGHT, data }
}

function psnr(a: RgbImage, b: RgbImage): number {
  let sum = 0
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] - b.data[i]) ** 2
  return 10 * Math.log10((255 * 255 * a.data.length) / Math.max(1, sum))
}
