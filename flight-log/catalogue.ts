import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Log, messageOf } from '@kestrel/runtime'
import { openFlight } from './flight.js'
import { parseFlightId } from './flight-id.js'
import type { Side } from './flight-info.js'
import { miouOf } from './overview.js'
import { recoverFile } from './recover.js'

/** A flight in a list. */
export interface CatalogueEntry {
  id: string
  folder: string
  drone: string
  /** Unix ms. */
  startMs: number
  endMs?: number
  durationMs?: number
  /** Of the first position, degrees. */
  place?: { latitude: number; longitude: number }
  /** Of all files together. */
  bytes: number
  sides: Side[]
  /** Every file was ended properly. */
  complete: boolean
  updates: { applied: number; refused: number; rolledBack: number }
  /** mIoU over the flight, 0..1, of the student that learned and of the same one without, and the difference. */
  adapting?: number
  frozen?: number
  gain?: number
  events: number
  /** Messages that could not be written. */
  lost: number
  /** Why nothing more is known of it. */
  problem?: string
}

/** A file that was touched less than this ago may still be written to, ms. */
const FRESH_MS = 60_000

/**
 * The flights of a folder, newest first, from the summaries in their files alone. Files that were cut off are mended on the way, once
 * nobody writes to them any more; what cannot be read is listed with the reason.
 *
 * @param options.current id of the flight that is being logged
 * @param options.mend false where the folder must stay as it is
 */
export async function listFlights(
  dir: string,
  options: { current?: string; mend?: boolean; log?: Log } = {},
): Promise<CatalogueEntry[]> {
  const flights: CatalogueEntry[] = []
  for (const { id, folder } of await flightFolders(dir)) {
    if (options.mend !== false && id !== options.current) await mendFlight(folder, { log: options.log })
    flights.push(await entry(id, folder))
  }
  return flights.sort((a, b) => b.startMs - a.startMs)
}

export interface MendOptions {
  log?: Log
  /** Files that were touched less than this ago are left alone: they may still be written to. */
  freshMs?: number
  /** Only files of this side. */
  side?: Side
}

/** Ends the files of a flight that were cut off and are no longer written to. @returns how many */
export async function mendFlight(folder: string, options: MendOptions = {}): Promise<number> {
  const { log, freshMs = FRESH_MS, side } = options
  let mended = 0
  for (const name of await names(folder)) {
    if (!name.endsWith('.mcap') || (side !== undefined && !name.startsWith(side))) continue
    const path = join(folder, name)
    try {
      if (Date.now() - (await stat(path)).mtimeMs < freshMs) continue
      const found = await recoverFile(path)
      if (found === undefined) continue
      mended += 1
      log?.info(
        `${path} was cut off: mended, ${found.messages} messages, ${found.bytesLost} bytes lost at its end`,
      )
    } catch (error) {
      log?.warn(`${path} cannot be mended: ${messageOf(error)}`)
    }
  }
  return mended
}

/** Mends all flights of a folder. */
export async function mendFlights(dir: string, options: MendOptions): Promise<void> {
  for (const { folder } of await flightFolders(dir)) await mendFlight(folder, options)
}

/** What keeping a quota came to. */
export interface QuotaOutcome {
  /** Ids of flights that went. */
  removed: string[]
  /** Bytes of all that are left. */
  bytes: number
  /** Even so there is more than allowed: only the current flight is left. */
  over: boolean
}

/** Removes the oldest flights until the rest fits. Current ones stay, however large. */
export async function keepQuota(
  dir: string,
  options: { maxBytes: number; current?: string[] },
): Promise<QuotaOutcome> {
  const { maxBytes, current = [] } = options
  const flights = await Promise.all(
    (await flightFolders(dir)).map(async ({ id, folder }) => ({
      ...{ id, folder, startMs: parseFlightId(id)!.startMs },
      bytes: await folderBytes(folder),
    })),
  )
  let bytes = flights.reduce((sum, flight) => sum + flight.bytes, 0)
  const removed: string[] = []
  for (const flight of flights.sort((a, b) => a.startMs - b.startMs)) {
    if (bytes <= maxBytes) break
    if (current.includes(flight.id)) continue
    await rm(flight.folder, { recursive: true, force: true })
    bytes -= flight.bytes
    removed.push(flight.id)
  }
  return { removed, bytes, over: bytes > maxBytes }
}

/** Folders whose names are ids of flights; everything else in the folder is left alone. */
async function flightFolders(dir: string): Promise<{ id: string; folder: string }[]> {
  const found = await names(dir)
  return found.filter(id => parseFlightId(id) !== undefined).map(id => ({ id, folder: join(dir, id) }))
}

async function names(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await names(folder)) {
    bytes += await stat(join(folder, name)).then(
      ({ size }) => size,
      () => 0,
    )
  }
  return bytes
}

async function entry(id: string, folder: string): Promise<CatalogueEntry> {
  const { drone, startMs } = parseFlightId(id)!
  const bytes = await folderBytes(folder)
  const nothing = { updates: { applied: 0, refused: 0, rolledBack: 0 }, events: 0, lost: 0, sides: [] }
  try {
    const flight = await openFlight(folder)
    try {
      const { summaries, timeRange: range, files } = flight
      // Both sides tell of the same updates; scores are the ground's.
      const sum = (value: (summary: (typeof summaries)[number]) => number) => {
        const of = (side: Side) =>
          summaries.filter(summary => summary.side === side).reduce((total, one) => total + value(one), 0)
        return Math.max(of('drone'), of('ground'))
      }
      const scores = await flight.scores()
      const adapting = scores && miouOf(scores.adapting, scores.truth)
      const frozen = scores && miouOf(scores.frozen, scores.truth)
      return {
        ...{ id, folder, drone, startMs, bytes, adapting, frozen },
        endMs: range?.toMs,
        durationMs: range && range.toMs - range.fromMs,
        place: summaries.find(({ place }) => place !== undefined)?.place,
        sides: [...new Set(files.flatMap(({ side }) => (side ? [side] : [])))],
        complete: files.every(({ complete }) => complete),
        updates: {
          applied: sum(({ updatesApplied }) => updatesApplied),
          refused: sum(({ updatesRefused }) => updatesRefused),
          rolledBack: sum(({ rolledBack }) => rolledBack),
        },
        gain: adapting === undefined || frozen === undefined ? undefined : adapting - frozen,
        events: sum(({ events }) => events),
        lost: sum(({ lost }) => lost),
      }
    } finally {
      await flight.close()
    }
  } catch (error) {
    return { ...nothing, id, folder, drone, startMs, bytes, complete: false, problem: messageOf(error) }
  }
}
