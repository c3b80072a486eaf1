import { checkDroneName } from '@kestrel/link'
import type { Rng } from '@kestrel/runtime'

const ID = /^([a-z0-9-]{1,32})-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-([0-9a-f]{4})$/

/** `<drone>-<UTC start yyyymmdd-hhmmss>-<4 hex>`: sorts by time for one drone, and two flights of one second differ. */
export function makeFlightId(drone: string, startMs: number, rng: Rng): string {
  const [date, time] = new Date(startMs).toISOString().replace(/[-:]/g, '').slice(0, 15).split('T')
  return `${checkDroneName(drone)}-${date}-${time}-${rng.int(0x10000).toString(16).padStart(4, '0')}`
}

/** What an id says; undefined for what is none. Ids come from the other side, too, and name a folder. */
export function parseFlightId(id: string): { drone: string; startMs: number } | undefined {
  const found = ID.exec(id)
  if (found === null) return undefined
  const [, drone, year, month, day, hour, minute, second] = found
  const startMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(startMs) ? undefined : { drone, startMs }
}
