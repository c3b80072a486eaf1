import './ffmpeg.js'
import type { RgbImage } from '@kestrel/models'
import { AV_NOPTS_VALUE, AVDISCARD_ALL, AVERROR_EXIT, AVMEDIA_TYPE_VIDEO } from 'node-av/constants'
import { Dictionary, FormatContext, type Frame, Packet, type Stream } from 'node-av/lib'
import { Decoder, isDamaged } from './decoder.js'
import { check, reason } from './ffmpeg.js'
import { Scaler } from './scaler.js'

export interface NetworkStreamOptions {
  transport?: 'tcp' | 'udp'
  /** How long the other side may keep silent, ms. */
  timeoutMs: number
}

/** A decoded picture; one of `toRgb` or `free` must be called, once. */
export interface NetworkPicture {
  /** The sender's time, ms, from an unknown zero; undefined where it says none. */
  ptsMs?: number
  width: number
  height: number
  /** One picture at a time. Frees the picture. */
  toRgb(): Promise<RgbImage>
  free(): void
}

/** No camera's picture has more pixels. */
const MAX_PIXELS = 134_217_728

/**
 * A live stream of video (RTSP). Every picture is decoded, since each is built on the one before, off the JS thread and without delay;
 * what is damaged is left out.
 */
export class NetworkStream {
  readonly #format = new FormatContext()
  readonly #packet = new Packet()
  readonly #scaler = new Scaler()
  #decoder: Decoder | undefined
  #stream: Stream | undefined
  #damaged = 0
  #working: Promise<unknown> = Promise.resolve()
  #closed = false

  /** Pictures that were damaged and left out. */
  get damaged(): number {
    return this.#damaged
  }

  /** Frames a second as the stream describes itself; undefined where it does not. */
  get fps(): number | undefined {
    const rate = [this.#stream?.avgFrameRate, this.#stream?.rFrameRate].find(
      one => one && one.num > 0 && one.den > 0,
    )
    return rate === undefined ? undefined : rate.num / rate.den
  }

  /** @throws Error in FFmpeg's words where there is no such stream */
  async open(url: string, options: NetworkStreamOptions): Promise<void> {
    await this.#exclusive(async () => {
      this.#packet.alloc()
      // Without this the connection is opened before node-av sets what `interrupt` works through, and nothing ends a read.
      this.#format.allocContext()
      const { transport = 'tcp', timeoutMs } = options
      const dictionary = Dictionary.fromObject({
        rtsp_transport: transport,
        // µs, of the socket's input and output.
        timeout: String(Math.round(timeoutMs * 1000)),
        // Packets are put in order, but not waited for when they are this late, µs.
        max_delay: '200000',
        fflags: 'nobuffer',
      })
      try {
        check(await this.#format.openInput(url, null, dictionary), 'it cannot be opened')
      } finally {
        dictionary.free()
      }
      // What describes the stream (SDP) names the codec; probing for more would cost seconds.
      const index = this.#format.streams.findIndex(
        ({ codecpar }) => codecpar.codecType === AVMEDIA_TYPE_VIDEO,
      )
      if (index < 0) throw new Error('it has no video')
      for (const stream of this.#format.streams) if (stream.index !== index) stream.discard = AVDISCARD_ALL
      this.#stream = this.#format.streams[index]
      const { codecpar } = this.#stream
      this.#decoder = new Decoder(codecpar.codecId, {
        parameters: codecpar,
        maxPixels: MAX_PIXELS,
        lowDelay: true,
      })
    })
  }

  /** The next whole picture. @throws Error where the stream has ended or broken, or was closed */
  read(): Promise<NetworkPicture> {
    return this.#exclusive(() => this.#read())
  }

  /** Ends whatever is waited for, and releases everything. Pictures that were handed out stay whole, but are not converted any more. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#format.interrupt()
    await this.#working
    this.#packet.free()
    this.#decoder?.close()
    this.#scaler.dispose()
    await this.#format.closeInput()
  }

  async #read(): Promise<NetworkPicture> {
    const { decoder, stream } = this.#opened()
    while (!this.#closed) {
      const frame = await decoder.receiveLater()
      if (typeof frame === 'object') {
        if (!isDamaged(frame)) return this.#picture(frame, stream)
        this.#damaged += 1
        continue
      }
      if (typeof frame === 'number') this.#damaged += 1
      const code = await this.#format.readFrame(this.#packet)
      if (code < 0) throw new Error(code === AVERROR_EXIT ? 'closed' : `it ended (${reason(code)})`)
      if (this.#packet.streamIndex === stream.index && (await decoder.sendLater(this.#packet)) < 0)
        this.#damaged += 1
      this.#packet.unref()
    }
    throw new Error('closed')
  }

  #opened() {
    if (this.#decoder === undefined || this.#stream === undefined) throw new Error('The stream is not open')
    return { decoder: this.#decoder, stream: this.#stream }
  }

  /** The decoder's frame lives until the next one only: another refers to the same pixels. */
  #picture(source: Frame, stream: Stream): NetworkPicture {
    const frame = source.clone()
    if (frame === null) throw new Error('no memory for a picture')
    const pts = frame.bestEffortTimestamp
    const tick = (1000 * stream.timeBase.num) / stream.timeBase.den
    return {
      ptsMs: pts === AV_NOPTS_VALUE ? undefined : Number(pts) * tick,
      width: frame.width,
      height: frame.height,
      free: () => frame.free(),
      toRgb: async () => {
        try {
          if (this.#closed) throw new Error('closed')
          return await this.#scaler.toRgbLater(frame)
        } finally {
          frame.free()
        }
      },
    }
  }

  /** `close` waits for what is under way. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const working = work()
    this.#working = working.catch(() => undefined)
    return working
  }
}
