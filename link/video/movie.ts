import './ffmpeg.js'
import type { RgbImage } from '@kestrel/models'
import {
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_PIX_FMT_YUV420P,
  AVCOL_PRI_BT709,
  AVCOL_RANGE_MPEG,
  AVCOL_SPC_BT709,
  AVCOL_TRC_BT709,
  type FFVideoEncoder,
} from 'node-av/constants'
import { Codec, CodecContext, FormatContext, Packet, Rational, type Stream } from 'node-av/lib'
import { check } from './ffmpeg.js'
import { Scaler } from './scaler.js'

/** Pictures from one key frame to the next: players jump to key frames. */
const GOP = 50

/**
 * Writes a film of pictures (MP4, H.264) that any player shows. Pictures are added one at a time and need not be evenly spaced; nothing is
 * kept in memory. Call `finish()`, or `discard()` where something went wrong.
 */
export class MovieWriter {
  readonly #context = new CodecContext()
  readonly #format = new FormatContext()
  readonly #packet = new Packet()
  readonly #scaler = new Scaler()
  readonly #size: { width: number; height: number }
  #stream: Stream | undefined
  #lastMs = -1
  #gapMs = 40

  private constructor(size: { width: number; height: number }) {
    this.#size = size
  }

  /**
   * @param size of all pictures; even sides
   * @throws Error where the file cannot be written
   */
  static async open(path: string, size: { width: number; height: number }): Promise<MovieWriter> {
    const movie = new MovieWriter(size)
    try {
      await movie.#open(path)
    } catch (error) {
      movie.discard()
      throw error
    }
    return movie
  }

  async #open(path: string): Promise<void> {
    const context = this.#context
    const encoder = Codec.findEncoderByName('libx264' as FFVideoEncoder)
    if (encoder === null) throw new Error('This FFmpeg has no libx264')
    context.allocContext3(encoder)
    this.#packet.alloc()
    context.width = this.#size.width
    context.height = this.#size.height
    context.pixelFormat = AV_PIX_FMT_YUV420P
    context.timeBase = new Rational(1, 1000)
    context.gopSize = GOP
    context.colorSpace = AVCOL_SPC_BT709
    context.colorRange = AVCOL_RANGE_MPEG
    context.colorPrimaries = AVCOL_PRI_BT709
    context.colorTrc = AVCOL_TRC_BT709
    context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER)
    context.setOption('crf', '21')
    context.setOption('preset', 'medium')
    context.setOption('x264-params', 'log-level=none')
    check(await context.open2(encoder, null), 'libx264 does not open')
    // `file:` keeps FFmpeg from taking a name with a colon for another protocol.
    check(this.#format.allocOutputContext2(null, 'mp4', `file:${path}`), 'No MP4 writer')
    const stream = this.#format.newStream()
    check(stream.codecpar.fromContext(context), 'The stream does not take its codec')
    stream.timeBase = context.timeBase
    this.#stream = stream
    check(await this.#format.openOutput(), `Cannot write ${path}`)
    check(await this.#format.writeHeader(null), `Cannot write ${path}`)
  }

  /** @param atMs when it is shown, from the first picture on; rising */
  async add(image: RgbImage, atMs: number): Promise<void> {
    const { width, height } = this.#size
    if (image.width !== width || image.height !== height) {
      throw new RangeError(`A film of ${width}x${height} takes no picture of ${image.width}x${image.height}`)
    }
    const ms = Math.max(Math.round(atMs), this.#lastMs + 1)
    if (this.#lastMs >= 0) this.#gapMs = ms - this.#lastMs
    this.#lastMs = ms
    const frame = this.#scaler.toYuv(image)
    try {
      frame.pts = BigInt(ms)
      check(await this.#context.sendFrame(frame), 'The encoder does not take a picture')
    } finally {
      frame.free()
    }
    await this.#drain()
  }

  async finish(): Promise<void> {
    check(await this.#context.sendFrame(null), 'The encoder does not end')
    await this.#drain()
    check(await this.#format.writeTrailer(), 'The film does not end')
    await this.#format.closeOutput()
    this.#free()
  }

  discard(): void {
    this.#format.closeOutputSync()
    this.#free()
  }

  async #drain(): Promise<void> {
    const { timeBase } = this.#context
    while ((await this.#context.receivePacket(this.#packet)) >= 0) {
      this.#packet.streamIndex = 0
      // Counts for the last picture only, which is not shown otherwise: it stays as long as the one before.
      this.#packet.duration = BigInt(this.#gapMs)
      this.#packet.rescaleTs(timeBase, this.#stream!.timeBase)
      check(await this.#format.interleavedWriteFrame(this.#packet), 'The film cannot be written')
    }
  }

  #free(): void {
    this.#scaler.dispose()
    this.#packet.free()
    this.#context.freeContext()
    this.#format.freeContext()
  }
}
