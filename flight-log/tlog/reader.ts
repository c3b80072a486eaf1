import { createReadStream } from 'node:fs'

/** A packet of a telemetry log. */
export interface TlogPacket {
  timeUs: bigint
  /** A whole MAVLink 1 or 2 frame. */
  packet: Buffer
}

/** Bytes that were passed over because no packet begins there. */
export interface TlogDamage {
  bytes: number
}

const LONGEST = 280
const TIME_BYTES = 8
/** Times outside are no times: 2000 to 2100, µs. */
const EARLIEST_US = 946_684_800_000_000n
const LATEST_US = 4_102_444_800_000_000n

/**
 * Reads a .tlog packet by packet, in constant memory; damage is passed over and counted, and a record that is cut off at the end is left
 * out.
 */
export async function* readTlog(
  path: string,
  damage: TlogDamage = { bytes: 0 },
): AsyncGenerator<TlogPacket, void> {
  let rest = Buffer.alloc(0)
  for await (const chunk of createReadStream(path)) {
    const bytes = Buffer.concat([rest, chunk as Buffer])
    const at = yield* packets(bytes, bytes.length - LONGEST - TIME_BYTES, damage)
    rest = Buffer.from(bytes.subarray(at))
  }
  const at = yield* packets(rest, rest.length, damage)
  damage.bytes += rest.length - at
}

/** @param until where no record may begin any more, since it may go on in what comes @returns where the rest begins */
function* packets(bytes: Buffer, until: number, damage: TlogDamage): Generator<TlogPacket, number> {
  let at = 0
  while (at < until) {
    const length = packetLength(bytes, at + TIME_BYTES)
    const timeUs = at + TIME_BYTES <= bytes.length ? bytes.readBigUInt64BE(at) : 0n
    if (length === undefined || timeUs < EARLIEST_US || timeUs > LATEST_US) {
      at += 1
      damage.bytes += 1
      continue
    }
    const end = at + TIME_BYTES + length
    if (end > bytes.length) return at
    yield { timeUs, packet: Buffer.from(bytes.subarray(at + TIME_BYTES, end)) }
    at = end
  }
  return at
}

/** Length of the frame that begins here: MAVLink 1 (0xfe) or 2 (0xfd), the latter with a signature where its flag says so. */
function packetLength(bytes: Buffer, at: number): number | undefined {
  if (at + 3 > bytes.length) return undefined
  if (bytes[at] === 0xfe) return bytes[at + 1] + 8
  if (bytes[at] !== 0xfd) return undefined
  return bytes[at + 1] + 12 + ((bytes[at + 2] & 1) !== 0 ? 13 : 0)
}
