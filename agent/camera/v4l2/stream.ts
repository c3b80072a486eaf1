import { PictureDecoder, type RawPicture } from '@kestrel/link'
import { type Clock, UserError } from '@kestrel/runtime'
import type { LivePicture, LiveStream } from '../live-source.js'
import { bufferRequest, frameBuffer, pixelFormat, streamParameters, streamType, VIDIOC } from './abi.js'
import { type Kernel, type Mapping, SystemError } from './kernel.js'
import { usable } from './modes.js'
import type { Mode } from './negotiate.js'
import { explain } from './reasons.js'

/** Frames that the driver may fill while one is fetched. */
const BUFFERS = 4
/** How long one wait for a frame lasts before it is looked whether the camera is to be closed, ms. */
const WAIT_MS = 200
/** A capture time further away than this is not believed, ms. */
const BELIEVABLE_MS = 5000

interface Taken {
  captureMs: number
  bytes: Uint8Array
}

/** A V4L2 device that streams: buffers are mapped, filled by the driver, copied out and handed back. */
export class V4l2Stream implements LiveStream {
  readonly description: string
  readonly width: number
  readonly height: number
  readonly fps?: number
  readonly #kernel: Kernel
  readonly #fd: number
  readonly #clock: Clock
  /** How the pixels lie; undefined for JPEG. */
  readonly #raw: RawPicture | undefined
  readonly #decoder = new PictureDecoder()
  readonly #mappings: Mapping[] = []
  #decoding: Promise<unknown> | undefined
  #reading: Promise<unknown> | undefined
  #closed = false
  #lastSequence: number | undefined
  #lost = 0

  /**
   * Sets the mode and begins to stream; from then on the stream owns the device, which stays the caller's where that fails.
   *
   * @throws UserError where the driver makes something else of the mode; SystemError where it refuses
   */
  static start(
    fd: number,
    options: { kernel: Kernel; clock: Clock; mode: Mode; card: string; device: string },
  ): V4l2Stream {
    const { kernel, clock, mode, card, device } = options
    const buffer = pixelFormat.alloc(mode.fourcc, mode.width, mode.height)
    kernel.ioctl(fd, VIDIOC.S_FMT, buffer)
    const got = pixelFormat.read(buffer)
    if (got.fourcc !== mode.fourcc || got.width !== mode.width || got.height !== mode.height) {
      throw new UserError(
        `${device} was asked for ${mode.fourcc} ${mode.width}x${mode.height} and gives ${got.fourcc} ${got.width}x${got.height}: ` +
          'set camera.format, camera.width and camera.height to that',
      )
    }
    const fps = mode.fps === undefined ? undefined : agreeOnRate(kernel, fd, mode.fps)
    const stream = new V4l2Stream(fd, { kernel, clock, mode, fps, bytesPerLine: got.bytesPerLine, card })
    try {
      stream.#begin()
    } catch (error) {
      stream.#unmap()
      throw error
    }
    return stream
  }

  private constructor(
    fd: number,
    options: { kernel: Kernel; clock: Clock; mode: Mode; fps?: number; bytesPerLine: number; card: string },
  ) {
    const { kernel, clock, mode, fps, bytesPerLine, card } = options
    const { fourcc, width, height } = mode
    this.#kernel = kernel
    this.#fd = fd
    this.#clock = clock
    const format = usable[fourcc]
    this.#raw =
      format === 'mjpeg' ? undefined : { format, width, height, bytesPerLine: bytesPerLine || undefined }
    this.width = width
    this.height = height
    this.fps = fps
    const rate = fps === undefined ? '' : `, ${Number(fps.toFixed(2))} fps`
    this.description = `${card} (${fourcc} ${width}x${height}${rate})`
  }

  get lost(): number {
    return this.#lost
  }

  read(): Promise<LivePicture> {
    const reading = this.#read().catch(error => {
      throw explain(error)
    })
    this.#reading = reading.catch(() => undefined)
    return reading
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#reading
    try {
      this.#kernel.ioctl(this.#fd, VIDIOC.STREAMOFF, streamType())
    } catch {
      // It was unplugged.
    }
    this.#unmap()
    this.#kernel.close(this.#fd)
    await this.#decoding
    this.#decoder.dispose()
  }

  #begin(): void {
    const request = bufferRequest.alloc(BUFFERS)
    this.#kernel.ioctl(this.#fd, VIDIOC.REQBUFS, request)
    const { count } = bufferRequest.read(request)
    for (let index = 0; index < count; index++) {
      const query = frameBuffer.alloc(index)
      this.#kernel.ioctl(this.#fd, VIDIOC.QUERYBUF, query)
      const { length, offset } = frameBuffer.read(query)
      this.#mappings.push(this.#kernel.map(this.#fd, length, offset))
      this.#kernel.ioctl(this.#fd, VIDIOC.QBUF, frameBuffer.alloc(index))
    }
    this.#kernel.ioctl(this.#fd, VIDIOC.STREAMON, streamType())
  }

  async #read(): Promise<LivePicture> {
    while (!this.#closed) {
      if (!(await this.#kernel.waitForFrame(this.#fd, WAIT_MS))) continue
      if (this.#closed) break
      const taken = this.#takeNewest()
      if (taken !== undefined) return { captureMs: taken.captureMs, decode: () => this.#decode(taken.bytes) }
    }
    throw new Error('the camera was closed')
  }

  /** Empties the driver's queue down to the newest whole frame. */
  #takeNewest(): Taken | undefined {
    let newest: Taken | undefined
    for (let i = 0; i <= this.#mappings.length; i++) {
      const buffer = frameBuffer.alloc()
      try {
        this.#kernel.ioctl(this.#fd, VIDIOC.DQBUF, buffer)
      } catch (error) {
        if (error instanceof SystemError && error.code === 'EAGAIN') break
        throw error
      }
      const frame = frameBuffer.read(buffer)
      this.#count(frame.sequence)
      const whole = !frame.damaged && frame.bytes > 0
      if (!whole || newest !== undefined) this.#lost += 1
      if (whole) {
        // Copied, since the driver fills the buffer again as soon as it has it back.
        const bytes = this.#mappings[frame.index].bytes.slice(0, frame.bytes)
        newest = { bytes, captureMs: this.#captureMs(frame.monotonicMs) }
      }
      this.#kernel.ioctl(this.#fd, VIDIOC.QBUF, frameBuffer.alloc(frame.index))
    }
    return newest
  }

  /** Frames that the driver had no buffer for are missing in its count. */
  #count(sequence: number): void {
    const last = this.#lastSequence
    if (last !== undefined && sequence > last + 1) this.#lost += sequence - last - 1
    this.#lastSequence = sequence
  }

  /** The driver's time on our clock: both go on with CLOCK_MONOTONIC, which `hrtime` reads as well. */
  #captureMs(monotonicMs: number | undefined): number {
    const nowMs = this.#clock.nowMs()
    if (monotonicMs === undefined) return nowMs
    const ageMs = Number(process.hrtime.bigint()) / 1e6 - monotonicMs
    return ageMs >= 0 && ageMs < BELIEVABLE_MS ? nowMs - ageMs : nowMs
  }

  #decode(bytes: Uint8Array) {
    const decoding =
      this.#raw === undefined ? this.#decoder.decodeJpeg(bytes) : this.#decoder.decodeRaw(bytes, this.#raw)
    this.#decoding = decoding.catch(() => undefined)
    return decoding
  }

  #unmap(): void {
    for (const mapping of this.#mappings.splice(0)) mapping.unmap()
  }
}

/** Asks for a rate; drivers take the nearest that they have. */
function agreeOnRate(kernel: Kernel, fd: number, fps: number): number | undefined {
  const buffer = streamParameters.alloc(fps)
  try {
    kernel.ioctl(fd, VIDIOC.S_PARM, buffer)
    return streamParameters.read(buffer)
  } catch (error) {
    if (error instanceof SystemError && (error.code === 'EINVAL' || error.code === 'ENOTTY')) return undefined
    throw error
  }
}
