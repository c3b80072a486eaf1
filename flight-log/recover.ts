import { stat } from 'node:fs/promises'
import { crc32Update } from '@foxglove/crc'
import { McapIndexedReader, McapRecordBuilder } from '@mcap/core'
import { decodeMessage } from './decode.js'
import { SUMMARY_RECORD } from './flight-info.js'
import { FileReadable } from './mcap/readable.js'
import { type ScannedMessage, scanFile } from './mcap/scan.js'
import { diskStorage, type LogStorage } from './mcap/storage.js'
import { OVERVIEW, Overview } from './overview.js'
import { summaryRecord } from './summary.js'
import { msOf } from './time.js'

export interface Recovered {
  messages: number
  /** Bytes at the end that were of no use. */
  bytesLost: number
}

/**
 * Ends a file that was cut off: what is not whole is cut away, and overview, summary and indexes are added where the file ends. If that is
 * cut off in its turn, nothing is worse than before.
 *
 * @returns undefined where the file is complete
 * @throws UserError where it is no MCAP file; Error where it cannot be written
 */
export async function recoverFile(
  path: string,
  storage: LogStorage = diskStorage,
): Promise<Recovered | undefined> {
  if (await isComplete(path)) return undefined
  const readable = await FileReadable.open(path)
  const overview = new Overview()
  let messages = 0
  let lastNs = 0n
  const onMessage = ({ topic, schema, logNs, data }: ScannedMessage) => {
    messages += 1
    if (logNs > lastNs) lastNs = logNs
    const message = decodeMessage(schema, data)
    if (message !== undefined) overview.add(topic, msOf(logNs), message)
  }
  const { index, end, missing, crc } = await scanFile(readable, { path, onMessage }).finally(() =>
    readable.close(),
  )
  const data = overview.data()
  const attachment = Buffer.from(JSON.stringify(data))
  const about = { name: OVERVIEW, mediaType: 'application/json' }
  const builder = new McapRecordBuilder()
  const attached = Number(
    builder.writeAttachment({ ...about, logTime: lastNs, createTime: lastNs, data: attachment }),
  )
  const from = end + missing.length
  index.addAttachment({ ...about, timeNs: lastNs, dataSize: attachment.length }, from, attached)
  const summary = new Map(Object.entries(summaryRecord(data, { lost: 0 })))
  const summarised = Number(builder.writeMetadata({ name: SUMMARY_RECORD, metadata: summary }))
  index.addMetadata(SUMMARY_RECORD, from + attached, summarised)
  const added = Buffer.concat([missing, builder.buffer])
  const tail = index.tail(end + added.length, crc32Update(crc, builder.buffer))
  const { size } = await stat(path)
  const handle = await storage.open(path)
  try {
    await handle.truncate(end)
    await handle.write([added, tail], end)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return { messages, bytesLost: size - end }
}

async function isComplete(path: string): Promise<boolean> {
  const readable = await FileReadable.open(path)
  try {
    await McapIndexedReader.Initialize({ readable })
    return true
  } catch {
    return false
  } finally {
    await readable.close()
  }
}
