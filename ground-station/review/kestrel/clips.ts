import type { CompressedVideo, Flight } from '@kestrel/flight-log'
import { decodeClip, isKeyPicture, type SegmentCodec } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'

/** No clip lasts longer, ms: T_update is ten minutes at most. */
const CLIP_MS = 600_000
/** Pictures of a clip, and bytes of decoded clips that are kept. */
const MAX_PICTURES = 1000
const MAX_BYTES = 96e6

const TOPIC = '/camera/sampled'
const codecs: Record<string, SegmentCodec> = { h264: 'h264', h265: 'hevc', av1: 'av1' }

interface Clip {
  timesMs: number[]
  images: RgbImage[]
}

/**
 * The frames of a flight. They were logged as the radio carried them, some ten frames to a clip, of which a frame in the middle can only be
 * decoded with those around it; clips that were decoded are kept for a while, since people look at neighbours.
 */
export class Clips {
  readonly #flight: Flight
  readonly #kept = new Map<number, Promise<Clip>>()

  constructor(flight: Flight) {
    this.#flight = flight
  }

  /** When the last frame until a time was taken, Unix ms; the first frame's time before that. */
  async timeAt(atMs: number): Promise<number | undefined> {
    return (
      (await this.#first({ toMs: atMs, reverse: true })) ??
      (await this.#first({ fromMs: atMs, reverse: false }))
    )
  }

  /** Of the frame after (or before) the one at `captureMs`. */
  async neighbour(captureMs: number, step: 1 | -1): Promise<number | undefined> {
    // Times are whole ns in the log: a fraction of a ms later is another frame.
    return step > 0
      ? this.#first({ fromMs: captureMs + 0.001, reverse: false })
      : this.#first({ toMs: captureMs - 0.001, reverse: true })
  }

  /** @throws MessageRefused where the clip is damaged */
  async frame(captureMs: number): Promise<RgbImage | undefined> {
    const begin = await this.#begin(captureMs)
    if (begin === undefined) return undefined
    let clip = this.#kept.get(begin)
    // Asked for last, forgotten last.
    this.#kept.delete(begin)
    clip ??= this.#decode(begin)
    this.#kept.set(begin, clip)
    clip.catch(() => this.#kept.delete(begin))
    const { timesMs, images } = await clip
    await this.#forget()
    const at = timesMs.findIndex(ms => Math.abs(ms - captureMs) < 0.001)
    return at < 0 ? undefined : images[at]
  }

  async #first(range: { fromMs?: number; toMs?: number; reverse: boolean }): Promise<number | undefined> {
    for await (const { timeMs } of this.#flight.messages(TOPIC, { ...range, limit: 1 })) return timeMs
    return undefined
  }

  /** When the clip begins in which a frame is. */
  async #begin(captureMs: number): Promise<number | undefined> {
    const range = { fromMs: captureMs - CLIP_MS, toMs: captureMs + 0.001, reverse: true, limit: MAX_PICTURES }
    for await (const { timeMs, message } of this.#flight.messages(TOPIC, range)) {
      const { data, format } = (message ?? {}) as CompressedVideo
      if (data !== undefined && isKeyPicture(data, codecs[format])) return timeMs
    }
    return undefined
  }

  async #decode(beginMs: number): Promise<Clip> {
    const units: Uint8Array[] = []
    const timesMs: number[] = []
    let codec: SegmentCodec = 'h264'
    const range = { fromMs: beginMs - 0.001, toMs: beginMs + CLIP_MS, limit: MAX_PICTURES }
    for await (const { timeMs, message } of this.#flight.messages(TOPIC, range)) {
      if (message === undefined) continue
      const { data, format } = message as CompressedVideo
      codec = codecs[format] ?? codec
      if (units.length > 0 && isKeyPicture(data, codec)) break
      units.push(data)
      timesMs.push(timeMs)
    }
    const images: RgbImage[] = []
    // Pictures may lie in another order than they are shown in (B-frames): the whole clip comes out in order of time.
    for await (const image of decodeClip(units, codec)) images.push({ ...image, data: image.data.slice() })
    return { timesMs, images }
  }

  async #forget(): Promise<void> {
    let bytes = 0
    for (const [begin, clip] of [...this.#kept].reverse()) {
      const { images } = await clip.catch(() => ({ images: [] as RgbImage[] }))
      bytes += images.reduce((sum, { data }) => sum + data.length, 0)
      if (bytes > MAX_BYTES && this.#kept.size > 1) this.#kept.delete(begin)
    }
  }
}
