import type { Duplex } from 'node:stream'
import { TokenBucket } from './token-bucket.js'

export interface PacketLimits {
  /** Most bytes of one MQTT packet. */
  packetBytes: number
  /** Most packets that may come at once, and that are forgiven a second. */
  packets: number
  packetsPerS: number
}

/**
 * Looks at the bytes that a client sends before the MQTT parser has them, since that collects whatever length a packet claims (up to 256 MB)
 * before it hands it on. Closes the connection at the header of a packet that is too big, and of a client that sends too many.
 *
 * aedes reads its connections with `read()`, so that is where the guard stands.
 */
export class PacketGuard {
  #limits!: PacketLimits
  #bucket!: TokenBucket
  readonly #onRefused: (kind: 'too-big' | 'rate', detail: string) => void
  readonly #nowMs: () => number
  /** Bytes of the present packet's body that are to come. */
  #body = 0
  /** The header that is being read: whether its first byte was, its length so far, and the factor of the next byte of that. */
  #inHeader = false
  #length = 0
  #factor = 1

  constructor(
    limits: PacketLimits,
    options: { onRefused: (kind: 'too-big' | 'rate', detail: string) => void; nowMs: () => number },
  ) {
    this.limits = limits
    this.#onRefused = options.onRefused
    this.#nowMs = options.nowMs
  }

  /** From here on, such as once the client has logged in. */
  set limits(limits: PacketLimits) {
    this.#limits = limits
    this.#bucket = new TokenBucket({ size: limits.packets, perS: limits.packetsPerS })
  }

  /** @param onBytes called whenever some came */
  watch(stream: Duplex, onBytes: () => void = () => {}): void {
    const read = stream.read.bind(stream)
    stream.read = (size?: number) => {
      const chunk: Buffer | null = read(size)
      if (chunk === null) return null
      onBytes()
      if (this.see(chunk)) return chunk
      stream.destroy()
      return null
    }
  }

  /** @returns false where the connection must end */
  see(chunk: Uint8Array): boolean {
    let at = 0
    while (at < chunk.length) {
      if (this.#body > 0) {
        const taken = Math.min(this.#body, chunk.length - at)
        this.#body -= taken
        at += taken
      } else if (!this.#inHeader) {
        this.#inHeader = true
        this.#length = 0
        this.#factor = 1
        at++
        if (!this.#count()) return false
      } else {
        // Remaining length: 7 bits a byte, the lowest first, at most four bytes [MQTT-2.2.3].
        const byte = chunk[at++]
        this.#length += (byte & 0x7f) * this.#factor
        this.#factor *= 128
        if ((byte & 0x80) !== 0 && this.#factor < 128 ** 4) continue
        this.#inHeader = false
        this.#body = this.#length
        const { packetBytes } = this.#limits
        if (this.#length > packetBytes) {
          this.#onRefused('too-big', `a packet of ${this.#length} bytes, at most ${packetBytes} are taken`)
          return false
        }
      }
    }
    return true
  }

  #count(): boolean {
    if (this.#bucket.take(1, this.#nowMs()) === 0) return true
    const { packets, packetsPerS } = this.#limits
    this.#onRefused('rate', `more than ${packets} packets at once, or ${packetsPerS} a second`)
    return false
  }
}
