import { crc32, crc32Init, crc32Update } from '@foxglove/crc'
import { UserError } from '@kestrel/runtime'
import { McapStreamReader, Opcode, type TypedMcapRecord } from '@mcap/core'
import type { MessageOffsets } from './chunk.js'
import { FileIndex, fileHead, messageIndexes, type PlacedChunk } from './file-index.js'
import type { FileReadable } from './readable.js'

/** A message that was met on the way through a file. */
export interface ScannedMessage {
  topic: string
  schema: string
  logNs: bigint
  data: Uint8Array
}

/** What is whole of a file that has no end. */
export interface Scan {
  index: FileIndex
  /** Where the last whole record ends; what lies behind is of no use. */
  end: number
  /** What belongs there: the message indexes of the last chunk, or the head of a file that has none yet. */
  missing: Uint8Array
  /** Of all of that, as `crc32Update` keeps it. */
  crc: number
  metadata: Map<string, Record<string, string>>
}

const RECORD_HEAD = 9
/** Opcode, length, two times, size, CRC; then compression and records with their lengths. */
const CHUNK_FIXED = 8 + 8 + 8 + 4
const MESSAGE_FIXED = 2 + 4 + 8 + 8
/** A record beyond is none of ours, and not read into memory. */
const MAX_RECORD = 256 * 1024 * 1024

/**
 * Reads a file from its beginning to the last record that is whole and whose checksum is right: for files that were cut off. Chunks must
 * not be compressed (ours are not).
 *
 * @throws UserError where the file is no MCAP file, or compressed
 */
export async function scanFile(
  readable: FileReadable,
  options: { path: string; onMessage?: (message: ScannedMessage) => void },
): Promise<Scan> {
  const scanner = new Scanner(readable, options.path, options.onMessage)
  return scanner.run()
}

class Scanner {
  readonly #readable: FileReadable
  readonly #path: string
  readonly #onMessage: ((message: ScannedMessage) => void) | undefined
  readonly #index = new FileIndex()
  readonly #metadata: Scan['metadata'] = new Map()
  #end = 0
  #crc = crc32Init()
  /** The last chunk, until its message indexes have all come. */
  #open: { chunk: Omit<PlacedChunk, 'indexes' | 'indexLength'>; offsets: MessageOffsets } | undefined
  #indexes = new Map<number, bigint>()
  #indexBytes: Uint8Array[] = []

  constructor(readable: FileReadable, path: string, onMessage?: (message: ScannedMessage) => void) {
    this.#readable = readable
    this.#path = path
    this.#onMessage = onMessage
  }

  /** Of the next record: message indexes count as taken once all of a chunk's are there. */
  get #at(): number {
    return this.#end + this.#indexBytes.reduce((sum, { length }) => sum + length, 0)
  }

  async run(): Promise<Scan> {
    const size = this.#readable.bytes
    const whole = Buffer.from('\x89MCAP0\r\n', 'latin1')
    const magic = await this.#readable.read(0n, BigInt(Math.min(size, whole.length)))
    if (!whole.subarray(0, magic.length).equals(magic)) {
      throw new UserError(`${this.#path} is no MCAP file: its first bytes are not those of one`)
    }
    // Cut off in its very first moment.
    if (magic.length < whole.length) return this.#nothing()
    this.#take(magic)
    for (;;) {
      const record = await this.#read(this.#at, size)
      if (record === undefined || !this.#record(record)) break
    }
    return this.#result()
  }

  async #read(at: number, size: number): Promise<Uint8Array | undefined> {
    if (at + RECORD_HEAD > size) return undefined
    const head = Buffer.from(await this.#readable.read(BigInt(at), BigInt(RECORD_HEAD)))
    const opcode = head.readUInt8(0)
    const length = Number(head.readBigUInt64LE(1))
    if (opcode < Opcode.MIN || opcode > Opcode.MAX || length > MAX_RECORD || at + RECORD_HEAD + length > size)
      return undefined
    return this.#readable.read(BigInt(at), BigInt(RECORD_HEAD + length))
  }

  /** @returns whether the file goes on */
  #record(bytes: Uint8Array): boolean {
    const opcode = bytes[0]
    if (opcode === Opcode.MESSAGE_INDEX && this.#open !== undefined) return this.#messageIndex(bytes)
    // Message indexes that are not there are made again only at the end of the file; in the middle the chunk is left without.
    if (this.#open !== undefined) return false
    switch (opcode) {
      case Opcode.CHUNK:
        return this.#chunk(bytes)
      case Opcode.METADATA:
      case Opcode.ATTACHMENT: {
        const record = parse(bytes)
        if (record === undefined) return false
        if (record.type === 'Metadata') {
          this.#index.addMetadata(record.name, this.#end, bytes.length)
          this.#metadata.set(record.name, Object.fromEntries(record.metadata))
        } else if (record.type === 'Attachment') {
          const { name, mediaType, logTime, data } = record
          const about = { name, mediaType, timeNs: logTime, dataSize: data.length }
          this.#index.addAttachment(about, this.#end, bytes.length)
        }
        this.#take(bytes)
        return true
      }
      case Opcode.HEADER:
      case Opcode.SCHEMA:
      case Opcode.CHANNEL:
        this.#define(bytes)
        this.#take(bytes)
        return true
      default:
        // The end of the data section, or what should not be here.
        return false
    }
  }

  #chunk(bytes: Uint8Array): boolean {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const compressionLength = view.readUInt32LE(RECORD_HEAD + CHUNK_FIXED)
    const begin = RECORD_HEAD + CHUNK_FIXED + 4 + compressionLength + 8
    if (begin > view.length) return false
    if (compressionLength > 0) {
      const compression = view.toString('utf8', RECORD_HEAD + CHUNK_FIXED + 4, begin - 8)
      throw new UserError(
        `${this.#path} was cut off, and its chunks are compressed (${compression}): mend it with \`mcap recover\` of https://mcap.dev`,
      )
    }
    const records = view.subarray(begin)
    const crc = view.readUInt32LE(RECORD_HEAD + 24)
    if (crc !== 0 && crc32(records) !== crc) return false
    const offsets = this.#walk(records)
    if (offsets === undefined) return false
    // No checksum covers the head of a chunk.
    const times = [...offsets.values()].flat().map(([time]) => time)
    const [startNs, endNs] = [view.readBigUInt64LE(RECORD_HEAD), view.readBigUInt64LE(RECORD_HEAD + 8)]
    const fits =
      view.readBigUInt64LE(RECORD_HEAD + 16) === BigInt(records.length) &&
      view.readBigUInt64LE(begin - 8) === BigInt(records.length) &&
      times.every(time => time >= startNs && time <= endNs) &&
      (times.length === 0 || (times.includes(startNs) && times.includes(endNs)))
    if (!fits) return false
    this.#take(bytes)
    this.#open = {
      chunk: {
        startNs,
        endNs,
        offset: this.#end - bytes.length,
        length: bytes.length,
        compression: '',
        compressedSize: records.length,
        uncompressedSize: records.length,
        counts: new Map([...offsets].map(([channel, list]) => [channel, list.length])),
      },
      offsets,
    }
    this.#indexes = new Map()
    this.#indexBytes = []
    if (offsets.size === 0) this.#close(new Map(), [])
    return true
  }

  /** The messages of a chunk. */
  #walk(records: Buffer): MessageOffsets | undefined {
    const offsets: MessageOffsets = new Map()
    const { channels, schemas } = this.#index
    for (let at = 0; at < records.length; ) {
      if (at + RECORD_HEAD > records.length) return undefined
      const opcode = records[at]
      const end = at + RECORD_HEAD + Number(records.readBigUInt64LE(at + 1))
      if (end > records.length) return undefined
      if (opcode !== Opcode.MESSAGE) this.#define(records.subarray(at, end))
      else {
        const channel = records.readUInt16LE(at + RECORD_HEAD)
        const logNs = records.readBigUInt64LE(at + RECORD_HEAD + 6)
        const list = offsets.get(channel) ?? []
        list.push([logNs, BigInt(at)])
        offsets.set(channel, list)
        const { topic, schemaId } = channels.get(channel) ?? {}
        if (topic === undefined) return undefined
        this.#onMessage?.({
          topic,
          schema: schemas.get(schemaId as number)?.name ?? '',
          logNs,
          data: records.subarray(at + RECORD_HEAD + MESSAGE_FIXED, end),
        })
      }
      at = end
    }
    return offsets
  }

  #define(bytes: Uint8Array): void {
    const record = parse(bytes)
    if (record?.type === 'Schema') this.#index.schemas.set(record.id, record)
    else if (record?.type === 'Channel') this.#index.channels.set(record.id, record)
  }

  #messageIndex(bytes: Uint8Array): boolean {
    const record = parse(bytes)
    if (record?.type !== 'MessageIndex') return false
    // Nor does one cover an index.
    if (!same(record.records, this.#open!.offsets.get(record.channelId) ?? [])) return false
    this.#indexes.set(record.channelId, BigInt(this.#at))
    this.#indexBytes.push(bytes)
    const { offsets } = this.#open!
    if ([...offsets.keys()].every(channel => this.#indexes.has(channel))) {
      this.#close(this.#indexes, this.#indexBytes)
    }
    return true
  }

  /** The chunk is complete with its message indexes. */
  #close(indexes: Map<number, bigint>, bytes: Uint8Array[]): void {
    const indexLength = bytes.reduce((sum, { length }) => sum + length, 0)
    this.#index.addChunk({ ...this.#open!.chunk, indexes, indexLength })
    for (const piece of bytes) this.#take(piece)
    this.#open = undefined
    this.#indexBytes = []
  }

  #nothing(): Scan {
    const missing = fileHead()
    return {
      index: this.#index,
      end: 0,
      missing,
      crc: crc32Update(this.#crc, missing),
      metadata: this.#metadata,
    }
  }

  #result(): Scan {
    let missing: Uint8Array = new Uint8Array(0)
    let crc = this.#crc
    if (this.#open !== undefined) {
      const made = messageIndexes(this.#open.offsets, this.#end)
      missing = made.bytes
      this.#index.addChunk({ ...this.#open.chunk, indexes: made.indexes, indexLength: missing.length })
      crc = crc32Update(crc, missing)
    }
    return { index: this.#index, end: this.#end, missing, crc, metadata: this.#metadata }
  }

  #take(bytes: Uint8Array): void {
    this.#end += bytes.length
    this.#crc = crc32Update(this.#crc, bytes)
  }
}

function same(a: [bigint, bigint][], b: [bigint, bigint][]): boolean {
  const sorted = (list: [bigint, bigint][]) => [...list].sort(([, x], [, y]) => (x < y ? -1 : 1))
  const other = sorted(b)
  return (
    a.length === b.length && sorted(a).every(([time, at], i) => time === other[i][0] && at === other[i][1])
  )
}

/** One record; undefined where it is none. */
function parse(bytes: Uint8Array): TypedMcapRecord | undefined {
  try {
    const reader = new McapStreamReader({ noMagicPrefix: true })
    reader.append(bytes)
    return reader.nextRecord()
  } catch {
    return undefined
  }
}
