import { diskStorage, type LogHandle, type LogStorage } from '../mcap/storage.js'

/** Written this often at the latest. */
export const TLOG_FLUSH_MS = 500

const MAX_WAITING_BYTES = 4 * 1024 * 1024

/** The time and the packet as they stand in the file: microseconds since 1970, 64 bits, big-endian. */
export function tlogRecord(timeMs: number, packet: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(8 + packet.length)
  record.writeBigUInt64BE(BigInt(Math.round(timeMs * 1000)), 0)
  record.set(packet, 8)
  return record
}

/**
 * A telemetry log as Mission Planner, MAVProxy and QGroundControl write it: time and packet, one after the other. Packets are whole
 * frames, so that the file is cut between them wherever the writing ends; what waits is bounded, the oldest go and are counted.
 */
export class TlogWriter {
  readonly #path: string
  readonly #storage: LogStorage
  #handle: LogHandle | undefined
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #position = 0
  #lost = 0
  #packets = 0
  #writing: Promise<void> | undefined

  constructor(path: string, storage: LogStorage = diskStorage) {
    this.#path = path
    this.#storage = storage
  }

  get packets(): number {
    return this.#packets
  }

  get lost(): number {
    return this.#lost
  }

  get bytes(): number {
    return this.#position
  }

  /** Takes one packet, whole; the bytes are copied. */
  add(timeMs: number, packet: Uint8Array): void {
    const record = tlogRecord(timeMs, packet)
    this.#packets += 1
    this.#waiting.push(record)
    this.#waitingBytes += record.length
    while (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#waitingBytes -= this.#waiting.shift()!.length
      this.#lost += 1
    }
  }

  /** Writes what waits. Never rejects: where the disk takes nothing it waits on. @returns why not, where it was not written */
  async flush(): Promise<unknown> {
    let failure: unknown
    await this.#writing
    this.#writing = this.#write().catch(error => {
      failure = error
    })
    await this.#writing
    return failure
  }

  async close(): Promise<unknown> {
    const failure = await this.flush()
    await this.#handle?.close().catch(() => undefined)
    this.#handle = undefined
    return failure
  }

  async #write(): Promise<void> {
    if (this.#waiting.length === 0) return
    this.#handle ??= await this.#storage.create(this.#path)
    const batch = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    try {
      await this.#handle.write(batch, this.#position)
    } catch (error) {
      await this.#handle.truncate(this.#position).catch(() => undefined)
      this.#waiting = [...batch, ...this.#waiting]
      this.#waitingBytes = this.#waiting.reduce((sum, { length }) => sum + length, 0)
      throw error
    }
    this.#position += batch.reduce((sum, { length }) => sum + length, 0)
  }
}
