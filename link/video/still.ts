import { readFile } from 'node:fs/promises'
import type { RgbImage } from '@kestrel/models'
import { messageOf, UserError } from '@kestrel/runtime/errors'
import {
  AV_CODEC_ID_MJPEG,
  AV_CODEC_ID_PNG,
  AV_CODEC_ID_WEBP,
  AV_FRAME_DATA_DISPLAYMATRIX,
  type AVCodecID,
} from 'node-av/constants'
import { Decoder } from './decoder.js'
import { check, reason } from './ffmpeg.js'
import { quarterTurns, rotate } from './rotate.js'
import { Scaler } from './scaler.js'

/** What the names of pictures end in. */
export const stillExtensions = ['.jpg', '.jpeg', '.png', '.webp']

/** No picture that a camera takes has more. */
const MAX_PIXELS = 200_000_000

/** Reads a JPEG, PNG or WebP (told apart by content, not by name), upright. @throws UserError that names the file */
export async function decodeStill(path: string): Promise<RgbImage> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw new UserError(`Cannot read the picture ${path}: ${messageOf(cause)}`, { cause })
  }
  try {
    return decodeStillBytes(bytes)
  } catch (cause) {
    throw new UserError(`${path} is not a whole JPEG, PNG or WebP picture (${messageOf(cause)})`, { cause })
  }
}

/** The same for a picture in memory. @throws Error that says what is wrong with it */
export function decodeStillBytes(bytes: Uint8Array): RgbImage {
  const decoder = new Decoder(formatOf(bytes), { maxPixels: MAX_PIXELS, strict: true })
  const scaler = new Scaler()
  try {
    check(decoder.send(bytes), 'the decoder refuses it')
    let frame = decoder.receive()
    if (frame === undefined) {
      decoder.send(null)
      frame = decoder.receive()
    }
    if (frame === undefined) throw new Error('it has no picture inside')
    if (typeof frame === 'number') throw new Error(reason(frame))
    const turns = quarterTurns(frame.getSideData(AV_FRAME_DATA_DISPLAYMATRIX))
    return rotate(scaler.toRgb(frame), turns)
  } finally {
    scaler.dispose()
    decoder.close()
  }
}

function formatOf(bytes: Uint8Array): AVCodecID {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(16, bytes.byteLength)).toString('latin1')
  if (head.startsWith('\xff\xd8\xff')) return AV_CODEC_ID_MJPEG
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return AV_CODEC_ID_PNG
  if (head.startsWith('RIFF') && head.slice(8, 12) === 'WEBP') return AV_CODEC_ID_WEBP
  throw new Error('it does not begin like one')
}
