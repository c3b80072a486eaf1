import { messageOf, UserError } from '@kestrel/runtime'
import { McapIndexedReader } from '@mcap/core'
import { FileReadable } from './readable.js'
import { scanFile } from './scan.js'

/** A message as it stands in a file. */
export interface RawMessage {
  topic: string
  /** Name of its type, such as `foxglove.LocationFix`. */
  schema: string
  /** How its data is encoded: `protobuf` in our files. */
  encoding: string
  timeNs: bigint
  sequence: number
  data: Uint8Array
}

export interface MessageRange {
  topics: string[]
  /** Both included. */
  fromNs?: bigint
  toNs?: bigint
  reverse?: boolean
}

/** One MCAP file, read through its indexes; one that was cut off is indexed in memory first, and not changed. */
export class LogFile {
  readonly path: string
  /** It was ended properly. */
  readonly complete: boolean
  readonly bytes: number
  readonly #readable: FileReadable
  readonly #reader: McapIndexedReader

  private constructor(path: string, readable: FileReadable, reader: McapIndexedReader, complete: boolean) {
    this.path = path
    this.bytes = readable.bytes
    this.#readable = readable
    this.#reader = reader
    this.complete = complete
  }

  /** @throws UserError where it cannot be read as an MCAP file */
  static async open(path: string): Promise<LogFile> {
    let readable: FileReadable
    try {
      readable = await FileReadable.open(path)
    } catch (cause) {
      throw new UserError(`Cannot read the log ${path}: ${messageOf(cause)}`, { cause })
    }
    try {
      const reader = await McapIndexedReader.Initialize({ readable }).catch(() => undefined)
      if (reader !== undefined) return new LogFile(path, readable, reader, true)
      const { index, end, missing, crc } = await scanFile(readable, { path })
      const tail = Buffer.concat([missing, index.tail(end + missing.length, crc)])
      readable.replaceTail(end, tail)
      const mended = await McapIndexedReader.Initialize({ readable })
      return new LogFile(path, readable, mended, false)
    } catch (cause) {
      await readable.close()
      if (cause instanceof UserError) throw cause
      throw new UserError(`${path} cannot be read as an MCAP file: ${messageOf(cause)}`, { cause })
    }
  }

  /** Topic → type and number of messages. */
  get channels(): Map<string, { schema: string; encoding: string; count: number }> {
    const { channelsById, schemasById, statistics } = this.#reader
    const channels = new Map<string, { schema: string; encoding: string; count: number }>()
    for (const { id, topic, schemaId, messageEncoding } of channelsById.values()) {
      const count = Number(statistics?.channelMessageCounts.get(id) ?? 0n) + (channels.get(topic)?.count ?? 0)
      channels.set(topic, { schema: schemasById.get(schemaId)?.name ?? '', encoding: messageEncoding, count })
    }
    return channels
  }

  /** First and last time of the chunks with topics of a kind, ns; undefined where there are none. */
  range(isOf: (topic: string) => boolean = () => true): { fromNs: bigint; toNs: bigint } | undefined {
    const { channelsById, chunkIndexes } = this.#reader
    let range: { fromNs: bigint; toNs: bigint } | undefined
    for (const { messageStartTime, messageEndTime, messageIndexOffsets } of chunkIndexes) {
      const ids = [...messageIndexOffsets.keys()]
      if (!ids.some(id => isOf(channelsById.get(id)?.topic ?? ''))) continue
      range ??= { fromNs: messageStartTime, toNs: messageEndTime }
      if (messageStartTime < range.fromNs) range.fromNs = messageStartTime
      if (messageEndTime > range.toNs) range.toNs = messageEndTime
    }
    return range
  }

  /** In the order of their times. */
  async *messages({ topics, fromNs, toNs, reverse }: MessageRange): AsyncGenerator<RawMessage, void> {
    const { channelsById, schemasById } = this.#reader
    const found = this.#reader.readMessages({ topics, startTime: fromNs, endTime: toNs, reverse })
    for await (const { channelId, logTime, sequence, data } of found) {
      const { topic, schemaId, messageEncoding: encoding } = channelsById.get(channelId)!
      yield {
        topic,
        schema: schemasById.get(schemaId)?.name ?? '',
        encoding,
        timeNs: logTime,
        sequence,
        data,
      }
    }
  }

  /** A metadata record; undefined where there is none of that name. */
  async metadata(name: string): Promise<Record<string, string> | undefined> {
    for await (const { metadata } of this.#reader.readMetadata({ name })) return Object.fromEntries(metadata)
    return undefined
  }

  async attachment(name: string): Promise<Uint8Array | undefined> {
    for await (const { data } of this.#reader.readAttachments({ name })) return data
    return undefined
  }

  get attachments(): { name: string; mediaType: string; bytes: number }[] {
    return this.#reader.attachmentIndexes.map(({ name, mediaType, dataSize }) => ({
      name,
      mediaType,
      bytes: Number(dataSize),
    }))
  }

  close(): Promise<void> {
    return this.#readable.close()
  }
}
