import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { readTlog as tlogPackets } from '@kestrel/flight-log'
import { messageOf, UserError } from '@kestrel/runtime'
import { type ForeignReader, openForeign } from './foreign/foreign-recording.js'
import { readTlog, type TimedPacket } from './foreign/tlog.js'
import { readUlog, type UlogFacts } from './foreign/ulog.js'
import { KestrelRecording } from './kestrel/kestrel-recording.js'
import type { Recording } from './recording.js'

/** What a file is, by its first bytes. */
export type LogFormat = 'mcap' | 'ulog' | 'tlog'

const MCAP_MAGIC = Buffer.from([0x89, 0x4d, 0x43, 0x41, 0x50])
const ULOG_MAGIC = Buffer.from('ULog\x01\x12\x35', 'latin1')

/** Undefined where it is none of those that can be opened. @throws UserError where it cannot be read */
export function logFormat(file: string): LogFormat | undefined {
  const head = Buffer.alloc(16)
  let length: number
  try {
    const handle = openSync(file, 'r')
    try {
      length = readSync(handle, head, 0, head.length, 0)
    } finally {
      closeSync(handle)
    }
  } catch (cause) {
    throw new UserError(`Cannot read the log ${file}: ${messageOf(cause)}`, { cause })
  }
  if (head.subarray(0, 5).equals(MCAP_MAGIC)) return 'mcap'
  if (head.subarray(0, 7).equals(ULOG_MAGIC)) return 'ulog'
  // µs since 1970 (some time from 1990 to 2100), then the beginning of a MAVLink frame.
  const seconds = Number(head.readBigUInt64BE(0)) / 1e6
  const mavlink = head[8] === 0xfd || head[8] === 0xfe
  return length === 16 && mavlink && seconds > 631e6 && seconds < 4.1e9 ? 'tlog' : undefined
}

/**
 * Opens a log of whatever kind: a file, or the folder of a flight.
 *
 * @param options.students files in which a flight's student may be found, to run it again
 * @throws UserError where it is no log, or nothing in it can be read
 */
export async function openLog(path: string, options: { students?: string[] } = {}): Promise<Recording> {
  const about = statSync(path, { throwIfNoEntry: false })
  if (about === undefined) throw new UserError(`There is no log ${path}`)
  if (about.isDirectory()) return KestrelRecording.open(path, options)
  const format = logFormat(path)
  if (format === 'mcap') return KestrelRecording.open(path, options)
  if (format === 'ulog') return openForeign(path, ulogReader(path))
  if (format === 'tlog') return openForeign(path, tlogReader(path))
  throw new UserError(
    `${path} is no flight log: expected a Kestrel log (.mcap), a telemetry log (.tlog) or a PX4 log (.ulg)`,
  )
}

function ulogReader(file: string): ForeignReader {
  let facts: UlogFacts | undefined
  return {
    kind: 'ulog',
    async read(into, stretch) {
      facts = await readUlog(file, into, { stretch, facts })
      const { software, hardware, epochMs } = facts
      return { vehicle: `PX4 ${hardware}`.trim(), software, dated: epochMs !== undefined }
    },
  }
}

function tlogReader(file: string): ForeignReader {
  return {
    kind: 'tlog',
    async read(into, stretch) {
      const { vehicle, firmware } = await readTlog(timed(file), into, { stretch })
      return { vehicle, software: `${vehicle} ${firmware}`.trim(), dated: true }
    },
  }
}

async function* timed(file: string): AsyncGenerator<TimedPacket> {
  for await (const { timeUs, packet } of tlogPackets(file)) yield { timeMs: Number(timeUs) / 1000, packet }
}
