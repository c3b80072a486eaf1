import { crc32Init, crc32Update } from '@foxglove/crc'
import { type Channel, McapRecordBuilder, type Schema } from '@mcap/core'
import { CHUNK_HEAD, type Chunk } from './chunk.js'
import { FileIndex, fileHead, messageIndexes } from './file-index.js'
import { diskStorage, type LogHandle, type LogStorage } from './storage.js'

export interface ChannelInit {
  topic: string
  schema: { name: string; data: Uint8Array }
}

/**
 * Writes one MCAP file, chunk by chunk as they are given: the reference library's own writer can only be told sizes, not moments, and
 * cannot go on after a disk that was full. Whatever call throws has changed nothing: the file ends where it ended before, and the next
 * call may succeed. Calls must not overlap.
 */
export class McapFile {
  readonly path: string
  readonly #handle: LogHandle
  readonly #builder = new McapRecordBuilder()
  readonly #index = new FileIndex()
  /** Channels that the data section defines. */
  readonly #defined = new Set<number>()
  readonly #definedSchemas = new Set<number>()
  #position = 0
  #crc = crc32Init()
  #dirty = false

  private constructor(path: string, handle: LogHandle) {
    this.path = path
    this.#handle = handle
  }

  /** @throws Error where the file exists or cannot be made */
  static async create(path: string, storage: LogStorage = diskStorage): Promise<McapFile> {
    const file = new McapFile(path, await storage.create(path))
    try {
      await file.#append([fileHead()])
      return file
    } catch (error) {
      await file.close()
      await storage.remove(path).catch(() => undefined)
      throw error
    }
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#position
  }

  knows(channel: number): boolean {
    return this.#index.channels.has(channel)
  }

  /** Makes a channel known, under the number that its messages bear in chunks; written with the first of them. */
  define(id: number, { topic, schema }: ChannelInit): void {
    const { schemas, channels } = this.#index
    const same = [...schemas.values()].find(({ name }) => name === schema.name)
    const schemaId = same?.id ?? schemas.size + 1
    if (same === undefined) schemas.set(schemaId, { id: schemaId, encoding: 'protobuf', ...schema })
    channels.set(id, { id, schemaId, topic, messageEncoding: 'protobuf', metadata: new Map() })
  }

  /** Writes chunks with one call to the system. */
  async write(chunks: Chunk[]): Promise<void> {
    if (chunks.length === 0) return
    const pieces: Uint8Array[] = []
    let at = this.#position
    const newChannels = new Set<number>()
    const newSchemas = new Set<number>()
    const placed = chunks.map(chunk => {
      const {
        bytes: length,
        offsets,
        pieces: record,
      } = chunk.record(this.#define(chunk, newChannels, newSchemas))
      const { bytes, indexes } = messageIndexes(offsets, at + length)
      pieces.push(...record, bytes)
      const size = length - CHUNK_HEAD
      const place = {
        ...{ startNs: chunk.startNs, endNs: chunk.endNs, offset: at, length, compression: '' },
        ...{ compressedSize: size, uncompressedSize: size, indexes, indexLength: bytes.length },
        counts: chunk.counts(),
      }
      at += length + bytes.length
      return place
    })
    await this.#append(pieces)
    for (const channel of newChannels) this.#defined.add(channel)
    for (const schema of newSchemas) this.#definedSchemas.add(schema)
    for (const place of placed) this.#index.addChunk(place)
  }

  async addMetadata(name: string, values: Record<string, string>): Promise<void> {
    this.#builder.writeMetadata({ name, metadata: new Map(Object.entries(values)) })
    const record = this.#take()
    const { bytes: at } = this
    await this.#append([record])
    this.#index.addMetadata(name, at, record.length)
  }

  async addAttachment(name: string, mediaType: string, timeNs: bigint, data: Uint8Array): Promise<void> {
    this.#builder.writeAttachment({ name, mediaType, logTime: timeNs, createTime: timeNs, data })
    const record = this.#take()
    const { bytes: at } = this
    await this.#append([record])
    this.#index.addAttachment({ name, mediaType, timeNs, dataSize: data.length }, at, record.length)
  }

  /** Everything so far is on the disk when it resolves. */
  async sync(): Promise<void> {
    if (!this.#dirty) return
    this.#dirty = false
    await this.#handle.sync()
  }

  /** Writes the summary and closes the file. Where it throws the file is without one, but whole otherwise. */
  async finish(): Promise<void> {
    try {
      await this.#append([this.#index.tail(this.#position, this.#crc)])
      await this.#handle.sync()
    } finally {
      await this.close()
    }
  }

  /** Leaves the file without a summary. */
  close(): Promise<void> {
    return this.#handle.close()
  }

  /** Schema and channel records that a chunk has to bring along. */
  #define(chunk: Chunk, newChannels: Set<number>, newSchemas: Set<number>): Uint8Array {
    const { schemas, channels } = this.#index
    for (const id of chunk.channels) {
      if (this.#defined.has(id) || newChannels.has(id)) continue
      const channel = channels.get(id) as Channel
      const { schemaId } = channel
      if (!this.#definedSchemas.has(schemaId) && !newSchemas.has(schemaId)) {
        this.#builder.writeSchema(schemas.get(schemaId) as Schema)
        newSchemas.add(schemaId)
      }
      this.#builder.writeChannel(channel)
      newChannels.add(id)
    }
    return this.#take()
  }

  async #append(pieces: Uint8Array[]): Promise<void> {
    const from = this.#position
    try {
      await this.#handle.write(pieces, from)
    } catch (error) {
      // What a part of it left behind must not look like a chunk.
      await this.#handle.truncate(from).catch(() => undefined)
      throw error
    }
    this.#dirty = true
    for (const piece of pieces) {
      this.#position += piece.length
      this.#crc = crc32Update(this.#crc, piece)
    }
  }

  #take(): Uint8Array {
    const bytes = this.#builder.buffer
    this.#builder.reset()
    return bytes
  }
}
