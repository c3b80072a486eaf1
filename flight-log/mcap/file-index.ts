import { crc32Final, crc32Init, crc32Update } from '@foxglove/crc'
import { type Channel, McapRecordBuilder, Opcode, type Schema, type Statistics } from '@mcap/core'
import type { MessageOffsets } from './chunk.js'

/** A chunk as it lies in the file. */
export interface PlacedChunk {
  startNs: bigint
  endNs: bigint
  /** Of the chunk record. */
  offset: number
  length: number
  compression: string
  compressedSize: number
  uncompressedSize: number
  /** Where the message indexes behind it begin, by channel, and their bytes altogether. */
  indexes: Map<number, bigint>
  indexLength: number
  counts: Map<number, number>
}

/**
 * What a file's summary section says of its data section: schemas, channels, statistics and where everything lies. Grows with the file
 * (some 150 bytes a chunk), so that the end of a file can be written without reading it again.
 */
export class FileIndex {
  readonly schemas = new Map<number, Schema>()
  readonly channels = new Map<number, Channel>()
  readonly statistics: Statistics = {
    messageCount: 0n,
    schemaCount: 0,
    channelCount: 0,
    attachmentCount: 0,
    metadataCount: 0,
    chunkCount: 0,
    messageStartTime: 0n,
    messageEndTime: 0n,
    channelMessageCounts: new Map(),
  }
  readonly #builder = new McapRecordBuilder()
  /** Records of the summary, encoded when they came up: far smaller than as objects. */
  readonly #chunks: Uint8Array[] = []
  readonly #attachments: Uint8Array[] = []
  readonly #metadata: Uint8Array[] = []

  addChunk(chunk: PlacedChunk): void {
    const { statistics } = this
    const { startNs, endNs, offset, length, compression, compressedSize, uncompressedSize } = chunk
    if (chunk.counts.size > 0) {
      if (statistics.messageCount === 0n || startNs < statistics.messageStartTime)
        statistics.messageStartTime = startNs
      if (statistics.messageCount === 0n || endNs > statistics.messageEndTime)
        statistics.messageEndTime = endNs
    }
    for (const [channel, count] of chunk.counts) {
      const before = statistics.channelMessageCounts.get(channel) ?? 0n
      statistics.channelMessageCounts.set(channel, before + BigInt(count))
      statistics.messageCount += BigInt(count)
    }
    statistics.chunkCount += 1
    this.#chunks.push(
      this.#record(builder =>
        builder.writeChunkIndex({
          messageStartTime: startNs,
          messageEndTime: endNs,
          chunkStartOffset: BigInt(offset),
          chunkLength: BigInt(length),
          messageIndexOffsets: chunk.indexes,
          messageIndexLength: BigInt(chunk.indexLength),
          compression,
          compressedSize: BigInt(compressedSize),
          uncompressedSize: BigInt(uncompressedSize),
        }),
      ),
    )
  }

  addMetadata(name: string, offset: number, length: number): void {
    this.statistics.metadataCount += 1
    this.#metadata.push(
      this.#record(builder =>
        builder.writeMetadataIndex({ name, offset: BigInt(offset), length: BigInt(length) }),
      ),
    )
  }

  addAttachment(
    about: { name: string; mediaType: string; timeNs: bigint; dataSize: number },
    offset: number,
    length: number,
  ): void {
    const { name, mediaType, timeNs, dataSize } = about
    this.statistics.attachmentCount += 1
    this.#attachments.push(
      this.#record(builder =>
        builder.writeAttachmentIndex({
          name,
          mediaType,
          logTime: timeNs,
          createTime: timeNs,
          dataSize: BigInt(dataSize),
          offset: BigInt(offset),
          length: BigInt(length),
        }),
      ),
    )
  }

  /**
   * All that follows the data section: data end, summary, footer.
   *
   * @param position where the data section ends
   * @param crc of the data section, as `crc32Update` keeps it
   */
  tail(position: number, crc: number): Uint8Array {
    const { schemas, channels, statistics } = this
    statistics.schemaCount = schemas.size
    statistics.channelCount = channels.size
    const dataEnd = this.#record(builder => builder.writeDataEnd({ dataSectionCrc: crc32Final(crc) }))
    const groups: [Opcode, Uint8Array[]][] = [
      [Opcode.SCHEMA, [...schemas.values()].map(schema => this.#record(b => b.writeSchema(schema)))],
      [Opcode.CHANNEL, [...channels.values()].map(channel => this.#record(b => b.writeChannel(channel)))],
      [Opcode.STATISTICS, [this.#record(builder => builder.writeStatistics(statistics))]],
      [Opcode.METADATA_INDEX, this.#metadata],
      [Opcode.ATTACHMENT_INDEX, this.#attachments],
      [Opcode.CHUNK_INDEX, this.#chunks],
    ]
    const summaryStart = position + dataEnd.length
    let at = summaryStart
    const offsets: Uint8Array[] = []
    for (const [groupOpcode, records] of groups) {
      const groupLength = records.reduce((sum, { length }) => sum + length, 0)
      if (groupLength === 0) continue
      offsets.push(
        this.#record(builder =>
          builder.writeSummaryOffset({
            groupOpcode,
            groupStart: BigInt(at),
            groupLength: BigInt(groupLength),
          }),
        ),
      )
      at += groupLength
    }
    const summary = Buffer.concat([...groups.flatMap(([, records]) => records), ...offsets])
    return Buffer.concat([dataEnd, summary, this.#footer(summary, summaryStart, at)])
  }

  /** The footer's CRC covers the summary and the footer up to the CRC itself. */
  #footer(summary: Uint8Array, summaryStart: number, summaryOffsetStart: number): Uint8Array {
    const footer = {
      summaryStart: BigInt(summaryStart),
      summaryOffsetStart: BigInt(summaryOffsetStart),
      summaryCrc: 0,
    }
    const draft = this.#record(builder => builder.writeFooter(footer))
    const crc = crc32Update(crc32Update(crc32Init(), summary), draft.subarray(0, draft.length - 4))
    return this.#record(builder => {
      builder.writeFooter({ ...footer, summaryCrc: crc32Final(crc) })
      builder.writeMagic()
    })
  }

  #record(write: (builder: McapRecordBuilder) => unknown): Uint8Array {
    write(this.#builder)
    const bytes = this.#builder.buffer
    this.#builder.reset()
    return bytes
  }
}

/** Says who wrote a file. */
export const LIBRARY = 'kestrel flight-log'

/** What every file begins with. */
export function fileHead(): Uint8Array {
  const builder = new McapRecordBuilder()
  builder.writeMagic()
  builder.writeHeader({ profile: '', library: LIBRARY })
  return builder.buffer
}

/** The message index records that follow a chunk, and where each begins. @param position of the first */
export function messageIndexes(
  offsets: MessageOffsets,
  position: number,
): { bytes: Uint8Array; indexes: Map<number, bigint> } {
  const builder = new McapRecordBuilder()
  const indexes = new Map<number, bigint>()
  for (const [channelId, records] of offsets) {
    indexes.set(channelId, BigInt(position + builder.length))
    builder.writeMessageIndex({ channelId, records })
  }
  return { bytes: builder.buffer, indexes }
}
