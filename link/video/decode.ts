import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { RgbImage } from '@kestrel/models'
import { messageOf, UserError } from '@kestrel/runtime/errors'
import {
  AV_NOPTS_VALUE,
  AV_PKT_DATA_DISPLAYMATRIX,
  AVDISCARD_ALL,
  AVERROR_EOF,
  AVMEDIA_TYPE_VIDEO,
} from 'node-av/constants'
import { FormatContext, Packet, type Stream } from 'node-av/lib'
import { Decoder, isDamaged } from './decoder.js'
import { check } from './ffmpeg.js'
import { quarterTurns, rotate } from './rotate.js'
import { Scaler } from './scaler.js'

export interface VideoProbe {
  /** Of the upright picture. */
  width: number
  height: number
  /** Average frames a second; 25 where the file does not say. */
  fps: number
  durationMs?: number
}

export interface VideoFrame {
  image: RgbImage
  /** Presentation time from the first picture on, ms, rising. */
  ptsMs: number
  /** Counts the file's pictures, those that could not be decoded included. */
  index: number
}

/** A video file, read by iterating over it (each iteration begins at its start). */
export interface VideoFile extends AsyncIterable<VideoFrame> {
  readonly path: string
  /** @throws UserError when the file is no video */
  probe(): Promise<VideoProbe>
  /** Pictures that were damaged and left out, in all iterations so far. */
  readonly skipped: number
}

/** A picture of a video may not have more pixels (8K has a quarter of it). */
const MAX_PIXELS = 134_217_728

const DEFAULT_FPS = 25

/**
 * Any video file that FFmpeg reads, picture by picture in presentation order, as packed RGB, upright. Decoding runs off
 * the JS thread and only as far as the reader asks; leaving the loop early closes everything. Damaged pictures are
 * left out and counted.
 *
 * @throws UserError (while iterating or probing) that names the file, when it is absent, no video, or holds no
 *   picture that can be decoded
 */
export function decodeVideoFile(path: string): VideoFile {
  let skipped = 0
  return {
    path,
    get skipped() {
      return skipped
    },
    async probe() {
      const input = await openInput(path)
      try {
        return describe(input)
      } finally {
        await input.format.closeInput()
      }
    },
    [Symbol.asyncIterator]: () => read(path, count => (skipped += count)),
  }
}

interface Input {
  path: string
  format: FormatContext
  stream: Stream
  turns: number
}

async function openInput(path: string): Promise<Input> {
  try {
    if (!(await stat(path)).isFile()) throw new UserError(`${path} is not a file: give a video file`)
  } catch (cause) {
    if (cause instanceof UserError) throw cause
    throw new UserError(`Cannot read the video ${path}: ${messageOf(cause)}`, { cause })
  }
  const format = new FormatContext()
  try {
    // `file:` keeps FFmpeg from taking a name with a colon for another protocol.
    check(await format.openInput(`file:${resolve(path)}`), 'its format is not known')
    check(await format.findStreamInfo(), 'its streams cannot be read')
    const index = format.findBestStream(AVMEDIA_TYPE_VIDEO)
    if (index < 0) throw new Error('it has no video stream')
    for (const stream of format.streams) if (stream.index !== index) stream.discard = AVDISCARD_ALL
    const stream = format.streams[index]
    if (stream.codecpar.width <= 0 || stream.codecpar.height <= 0)
      throw new Error('its pictures have no size')
    return {
      path,
      format,
      stream,
      turns: quarterTurns(stream.codecpar.getCodedSideData(AV_PKT_DATA_DISPLAYMATRIX)),
    }
  } catch (cause) {
    await format.closeInput()
    throw new UserError(
      `${path} cannot be played as a video: ${messageOf(cause)}. Check that it plays elsewhere and was copied whole`,
      { cause },
    )
  }
}

function describe({ format, stream, turns }: Input): VideoProbe {
  const { width, height } = stream.codecpar
  const rate = [stream.avgFrameRate, stream.rFrameRate].find(({ num, den }) => num > 0 && den > 0)
  const durationMs =
    stream.duration > 0n
      ? (1000 * Number(stream.duration) * stream.timeBase.num) / stream.timeBase.den
      : Number(format.duration) / 1000
  return {
    ...(turns % 2 === 1 ? { width: height, height: width } : { width, height }),
    fps: rate === undefined ? DEFAULT_FPS : rate.num / rate.den,
    durationMs: durationMs > 0 ? durationMs : undefined,
  }
}

async function* read(path: string, skip: (count: number) => void): AsyncGenerator<VideoFrame, void> {
  const input = await openInput(path)
  const { format, stream } = input
  const { fps } = describe(input)
  const tick = (1000 * stream.timeBase.num) / stream.timeBase.den
  const packet = new Packet()
  packet.alloc()
  const scaler = new Scaler()
  let decoder: Decoder | undefined
  let index = 0
  let given = 0
  let firstMs: number | undefined
  let lastMs = 0
  const lose = () => {
    index += 1
    skip(1)
  }
  try {
    decoder = openDecoder(input)
    for (let ended = false; !ended; ) {
      const code = await format.readFrame(packet)
      // A read error ends a truncated file just as its end does: what came before it was whole.
      ended = code < 0
      if (!ended && packet.streamIndex !== stream.index) {
        packet.unref()
        continue
      }
      const sent = await decoder.sendLater(ended ? null : packet)
      packet.unref()
      if (sent < 0 && sent !== AVERROR_EOF) lose()
      for (;;) {
        const frame = await decoder.receiveLater()
        if (frame === undefined) break
        if (typeof frame === 'number') {
          lose()
          break
        }
        if (isDamaged(frame)) {
          lose()
          continue
        }
        const pts = frame.bestEffortTimestamp
        const ms = pts === AV_NOPTS_VALUE ? undefined : Number(pts) * tick
        if (ms !== undefined) firstMs ??= ms - (1000 * index) / fps
        const dueMs = ms === undefined ? (1000 * index) / fps : ms - (firstMs as number)
        // Where the timestamps stand still or run back (damage, containers without any) the nominal rate goes on.
        const ptsMs = given === 0 || dueMs > lastMs ? dueMs : lastMs + 1000 / fps
        lastMs = ptsMs
        const image = rotate(scaler.toRgb(frame), input.turns)
        given += 1
        yield { image, ptsMs, index: index++ }
      }
    }
    if (given === 0) {
      throw new UserError(
        `${path} is damaged: not one of its pictures can be decoded (${index} tried). Copy or record it again`,
      )
    }
  } finally {
    packet.free()
    decoder?.close()
    scaler.dispose()
    await format.closeInput()
  }
}

function openDecoder({ path, stream }: Input): Decoder {
  const { codecpar } = stream
  try {
    return new Decoder(codecpar.codecId, { parameters: codecpar, maxPixels: MAX_PIXELS, threads: 2 })
  } catch (cause) {
    throw new UserError(`${path} cannot be decoded: ${messageOf(cause)}. Convert it to H.264 in MP4`, {
      cause,
    })
  }
}
