import { createReadStream } from 'node:fs'
import type { TimedPacket } from './tlog.js'

/** The packets of a .tlog: big-endian µs and a MAVLink frame, again and again. */
export async function* tlogPackets(file: string): AsyncGenerator<TimedPacket> {
  let pending: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(file)) {
    pending = Buffer.concat([pending, chunk])
    let at = 0
    for (;;) {
      if (at + 11 > pending.length) break
      const magic = pending[at + 8]
      if (magic !== 0xfd && magic !== 0xfe) {
        at += 1
        continue
      }
      const length = magic === 0xfe ? pending[at + 9] + 8 : pending[at + 9] + 12 + (pending[at + 10] & 1) * 13
      if (at + 8 + length > pending.length) break
      yield {
        timeMs: Number(pending.readBigUInt64BE(at)) / 1000,
        packet: pending.subarray(at + 8, at + 8 + length),
      }
      at += 8 + length
    }
    pending = pending.subarray(at)
  }
}
