import type { Flight } from '@kestrel/flight-log'
import type { Envelope, UpdateResult } from '@kestrel/link'
import { readUpdateHeader } from '@kestrel/models'
import type { UpdateEntry } from '../api.js'

/** Updates of a flight that are listed, and bytes of them that are read to run a student again. */
const MAX_UPDATES = 5000
const MAX_BYTES = 512e6

/** A weight update whose parts are together again. */
export interface WholeUpdate {
  version: number
  baseVersion: number
  /** Stands alone: a checkpoint. */
  checkpoint: boolean
  data: Uint8Array
}

/** What became of each update that the drone answered, in order. */
export async function updateEntries(flight: Flight): Promise<UpdateEntry[]> {
  const bytes = new Map<number, number>()
  const entries: UpdateEntry[] = []
  for await (const { message, timeMs } of flight.messages(['/link/update', '/link/update-result'])) {
    const { payload } = (message ?? {}) as Envelope
    if (payload?.case === 'update') {
      const { version, data } = payload.value
      bytes.set(version, (bytes.get(version) ?? 0) + data.length)
    } else if (payload?.case === 'updateResult') {
      const { version, applied, reason, detail } = payload.value as UpdateResult
      entries.push({
        version,
        timeMs,
        applied,
        reason: detail || reason,
        bytes: bytes.get(version) ?? 0,
      })
      if (entries.length >= MAX_UPDATES) break
    }
  }
  return entries
}

/**
 * The updates that lead to a version from the student that was shipped (or from a checkpoint), in the order in which they apply.
 *
 * @returns undefined where the log lacks one of them
 */
export async function chainTo(flight: Flight, version: number): Promise<WholeUpdate[] | undefined> {
  const parts = new Map<number, { parts: number; got: Map<number, Uint8Array> }>()
  const whole = new Map<number, WholeUpdate>()
  let read = 0
  for await (const { message } of flight.messages('/link/update')) {
    const { payload } = (message ?? {}) as Envelope
    if (payload?.case !== 'update') continue
    const { version: of, part, parts: count, data } = payload.value
    if (of > version) continue
    read += data.length
    if (read > MAX_BYTES) return undefined
    const open = parts.get(of) ?? { parts: count, got: new Map() }
    open.got.set(part, data)
    parts.set(of, open)
    if (open.got.size < open.parts) continue
    parts.delete(of)
    const joined = Buffer.concat([...open.got].sort(([a], [b]) => a - b).map(([, bytes]) => bytes))
    try {
      const { codec, baseVersion } = readUpdateHeader(joined)
      whole.set(of, { version: of, baseVersion, checkpoint: codec === 'checkpoint', data: joined })
    } catch {
      // Damaged on its way: the drone refused it, too.
    }
  }
  const chain: WholeUpdate[] = []
  for (let at = version; at !== 0; ) {
    const update = whole.get(at)
    if (update === undefined || chain.includes(update)) return undefined
    chain.unshift(update)
    if (update.checkpoint) break
    at = update.baseVersion
  }
  return chain
}
