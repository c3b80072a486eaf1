import { AV_FRAME_FLAG_CORRUPT, type AVCodecID, AVERROR_EOF } from 'node-av/constants'
import {
  Codec,
  CodecContext,
  type CodecParameters,
  FFmpegError,
  Frame,
  Packet,
  PosixError,
} from 'node-av/lib'
import { check } from './ffmpeg.js'

/** Platforms number it differently. */
const AGAIN = FFmpegError.AVERROR(PosixError.EAGAIN)

export interface DecoderOptions {
  /** Bounds what a stream can make the decoder allocate. */
  maxPixels?: number
  /** Refuse damaged data instead of guessing what it may have shown. */
  strict?: boolean
  threads?: number
  /** Hand out each picture as soon as it is decoded. */
  lowDelay?: boolean
  /** Of the container's stream, where there is one. */
  parameters?: CodecParameters
}

/** An opened FFmpeg decoder. Frames that it hands out live until the next one is asked for. */
export class Decoder {
  readonly #context = new CodecContext()
  readonly #frame = new Frame()
  readonly #packet = new Packet()

  /** @throws Error when this FFmpeg has no such decoder or it does not open */
  constructor(codecId: AVCodecID, options: DecoderOptions = {}) {
    const { maxPixels, strict = false, threads = 1, parameters, lowDelay = false } = options
    const codec = Codec.findDecoder(codecId)
    if (codec === null) throw new Error('no decoder for this kind of video')
    this.#context.allocContext3(codec)
    this.#frame.alloc()
    this.#packet.alloc()
    try {
      if (parameters !== undefined) {
        check(this.#context.parametersToContext(parameters), 'The video describes itself wrongly')
      }
      this.#context.threadCount = threads
      if (maxPixels !== undefined) this.#context.setOption('max_pixels', String(maxPixels))
      if (lowDelay) this.#context.setOption('flags', 'low_delay')
      if (strict) this.#context.setOption('err_detect', 'crccheck+bitstream+buffer+explode')
      check(this.#context.open2Sync(codec, null), 'The decoder does not open')
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Hands in one picture's worth of bytes, or nothing to get what is still inside. Returns an FFmpeg code. */
  send(bytes: Uint8Array | null): number {
    if (bytes === null) return this.#context.sendPacketSync(null)
    this.#packet.data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const code = this.#context.sendPacketSync(this.#packet)
    this.#packet.unref()
    return code
  }

  /** The next decoded picture; undefined when the decoder wants more; an error code when it failed. */
  receive(): Frame | undefined | number {
    this.#frame.unref()
    return this.#received(this.#context.receiveFrameSync(this.#frame))
  }

  /** The same two off the JS thread, for a packet that came out of a container. */
  sendLater(packet: Packet | null): Promise<number> {
    return this.#context.sendPacket(packet)
  }

  /** The same for one picture's worth of bytes; nothing else is sent meanwhile. */
  async sendBytesLater(bytes: Uint8Array): Promise<number> {
    this.#packet.data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    try {
      return await this.#context.sendPacket(this.#packet)
    } finally {
      this.#packet.unref()
    }
  }

  async receiveLater(): Promise<Frame | undefined | number> {
    this.#frame.unref()
    return this.#received(await this.#context.receiveFrame(this.#frame))
  }

  close(): void {
    this.#packet.free()
    this.#frame.free()
    this.#context.freeContext()
  }

  #received(code: number): Frame | undefined | number {
    if (code >= 0) return this.#frame
    return code === AGAIN || code === AVERROR_EOF ? undefined : code
  }
}

/** Whether the decoder itself says that the picture is damaged. */
export function isDamaged(frame: Frame): boolean {
  return frame.decodeErrorFlags !== 0 || (frame.flags & AV_FRAME_FLAG_CORRUPT) !== 0
}
