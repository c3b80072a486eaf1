import { type NetworkPicture, NetworkStream } from '@kestrel/link'
import { type Clock, messageOf, UserError } from '@kestrel/runtime'
import { ArrivalClock } from './arrival.js'
import type { LivePicture, LiveSource, LiveStream } from './live-source.js'

export interface RtspOptions {
  transport: 'tcp' | 'udp'
  /** How long the camera may keep silent, ms. */
  timeoutMs: number
  clock: Clock
}

/** FFmpeg's words for what no waiting mends. */
const REFUSED = /401|unauthorized|authorization failed|403|forbidden/i

/** A network camera. */
export class RtspSource implements LiveSource {
  readonly name: string
  readonly #url: string
  readonly #options: RtspOptions

  constructor(url: string, options: RtspOptions) {
    this.name = withoutPassword(url)
    this.#url = url
    this.#options = options
  }

  async open(signal: AbortSignal): Promise<LiveStream> {
    const { transport, timeoutMs, clock } = this.#options
    const stream = new NetworkStream()
    const ended = () => void stream.close()
    signal.addEventListener('abort', ended, { once: true })
    try {
      await stream.open(this.#url, { transport, timeoutMs })
      return new RtspStream(stream, { name: this.name, first: await stream.read(), clock })
    } catch (error) {
      await stream.close()
      const message = messageOf(error)
      if (REFUSED.test(message)) {
        throw new UserError(`${this.name} refuses the user or password of its URL (${message})`, {
          cause: error,
        })
      }
      throw new Error(`no pictures over ${transport} (${message})`, { cause: error })
    } finally {
      signal.removeEventListener('abort', ended)
    }
  }
}

/** The URL as it may be shown. */
export function withoutPassword(url: string): string {
  return url.replace(/^(\w+:\/\/[^:/@]*):[^/]*@/, '$1:***@')
}

class RtspStream implements LiveStream {
  readonly description: string
  readonly width: number
  readonly height: number
  readonly fps?: number
  readonly #stream: NetworkStream
  readonly #clock: Clock
  readonly #arrival = new ArrivalClock()
  #first: NetworkPicture | undefined

  constructor(stream: NetworkStream, options: { name: string; first: NetworkPicture; clock: Clock }) {
    const { name, first, clock } = options
    this.#stream = stream
    this.#clock = clock
    this.#first = first
    this.width = first.width
    this.height = first.height
    this.fps = stream.fps
    const rate = this.fps === undefined ? '' : `, ${Number(this.fps.toFixed(2))} fps`
    this.description = `${name} (${this.width}x${this.height}${rate})`
  }

  get lost(): number {
    return this.#stream.damaged
  }

  async read(): Promise<LivePicture> {
    const picture = this.#first ?? (await this.#stream.read())
    this.#first = undefined
    const captureMs = this.#arrival.captureMs(picture.ptsMs, this.#clock.nowMs())
    return { captureMs, decode: () => picture.toRgb(), discard: () => picture.free() }
  }

  async close(): Promise<void> {
    this.#first?.free()
    this.#first = undefined
    await this.#stream.close()
  }
}
