import { crc32Final, crc32Init, crc32Update } from '@foxglove/crc'
import { Opcode } from '@mcap/core'

/** Bytes of a message record before its data: opcode, length, channel, sequence, log and publish time. */
const MESSAGE_HEAD = 1 + 8 + 2 + 4 + 8 + 8
/** Bytes of a chunk record before its records: opcode, length, two times, size, CRC, an empty compression, length. */
export const CHUNK_HEAD = 1 + 8 + 8 + 8 + 8 + 4 + 4 + 8

/** Where each message of a channel lies in the records of its chunk: log time, ns, and offset. */
export type MessageOffsets = Map<number, [bigint, bigint][]>

/**
 * Messages that are written together. Payloads are held as they are given, never copied: they must not change afterwards. Chunks are not
 * compressed: video and PNG do not shrink, and the rest is small.
 */
export class Chunk {
  #pieces: Uint8Array[] = []
  #bytes = 0
  #messages = 0
  #startNs = 0n
  #endNs = 0n
  readonly #offsets: MessageOffsets = new Map()
  readonly #last = new Map<number, bigint>()

  /** Bytes of the records so far. */
  get bytes(): number {
    return this.#bytes
  }

  get messages(): number {
    return this.#messages
  }

  get channels(): number[] {
    return [...this.#offsets.keys()]
  }

  get startNs(): bigint {
    return this.#startNs
  }

  get endNs(): bigint {
    return this.#endNs
  }

  /** Messages by channel. */
  counts(): Map<number, number> {
    return new Map([...this.#offsets].map(([channel, offsets]) => [channel, offsets.length]))
  }

  add(channel: number, sequence: number, logNs: bigint, data: Uint8Array): void {
    const head = Buffer.allocUnsafe(MESSAGE_HEAD)
    head.writeUInt8(Opcode.MESSAGE, 0)
    head.writeBigUInt64LE(BigInt(MESSAGE_HEAD - 9 + data.length), 1)
    head.writeUInt16LE(channel, 9)
    head.writeUInt32LE(sequence, 11)
    head.writeBigUInt64LE(logNs, 15)
    head.writeBigUInt64LE(logNs, 23)
    const offsets = this.#offsets.get(channel) ?? []
    offsets.push([logNs, BigInt(this.#bytes)])
    this.#offsets.set(channel, offsets)
    this.#last.set(channel, logNs)
    if (this.#messages === 0 || logNs < this.#startNs) this.#startNs = logNs
    if (this.#messages === 0 || logNs > this.#endNs) this.#endNs = logNs
    this.#messages += 1
    this.#pieces.push(head, data)
    this.#bytes += MESSAGE_HEAD + data.length
  }

  /**
   * The chunk record.
   *
   * @param definitions schema and channel records that its messages need and that the file does not have yet; they come first
   * @returns pieces to write one after the other, and where the messages lie
   */
  record(definitions: Uint8Array): { pieces: Uint8Array[]; bytes: number; offsets: MessageOffsets } {
    const size = definitions.length + this.#bytes
    const head = Buffer.allocUnsafe(CHUNK_HEAD)
    const records = [definitions, ...this.#pieces]
    const crc = crc32Final(records.reduce((sum, piece) => crc32Update(sum, piece), crc32Init()))
    head.writeUInt8(Opcode.CHUNK, 0)
    head.writeBigUInt64LE(BigInt(CHUNK_HEAD - 9 + size), 1)
    head.writeBigUInt64LE(this.#startNs, 9)
    head.writeBigUInt64LE(this.#endNs, 17)
    head.writeBigUInt64LE(BigInt(size), 25)
    head.writeUInt32LE(crc, 33)
    head.writeUInt32LE(0, 37)
    head.writeBigUInt64LE(BigInt(size), 41)
    const shift = BigInt(definitions.length)
    const offsets: MessageOffsets = new Map(
      [...this.#offsets].map(([channel, list]) => [
        channel,
        list.map(([time, at]) => [time, at + shift] as [bigint, bigint]),
      ]),
    )
    return { pieces: [head, ...records], bytes: CHUNK_HEAD + size, offsets }
  }
}
