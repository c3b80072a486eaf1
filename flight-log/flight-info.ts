import type { Colour } from '@kestrel/models'
import { z } from 'zod'

export type Side = 'drone' | 'ground'

/** What a log says of itself at its beginning. */
export interface FlightInfo {
  /** Of the flight; the same on both sides. */
  id: string
  drone: string
  side: Side
  /** When the flight began, Unix ms of the side's clock. */
  startMs: number
  software: string
  /** File name of the student, its classes and their colours. */
  student: string
  classes: string[]
  palette: Colour[]
  /** The configuration, without secrets, as JSON. */
  configuration: string
}

/** Name of the metadata record that holds it. */
export const FLIGHT_RECORD = 'kestrel.flight'
/** … and of those that the end of a file adds. */
export const SUMMARY_RECORD = 'kestrel.summary'

const record = z.object({
  id: z.string(),
  drone: z.string(),
  side: z.enum(['drone', 'ground']),
  startMs: z.coerce.number(),
  software: z.string(),
  student: z.string(),
  classes: z.preprocess(json, z.array(z.string())),
  palette: z.preprocess(json, z.array(z.tuple([z.number(), z.number(), z.number()]))),
  configuration: z.string(),
})

export function flightRecord(info: FlightInfo): Record<string, string> {
  return {
    ...info,
    startMs: String(info.startMs),
    classes: JSON.stringify(info.classes),
    palette: JSON.stringify(info.palette),
  }
}

/** Undefined where the record is not one of ours. */
export function parseFlightRecord(values: Record<string, string>): FlightInfo | undefined {
  return record.safeParse(values).data as FlightInfo | undefined
}

function json(value: unknown): unknown {
  try {
    return JSON.parse(String(value))
  } catch {
    return undefined
  }
}

const secret = /pass|secret|token|key|credential/i

/**
 * A configuration as it may be logged and mailed: what names a secret is blotted out, and passwords in addresses are, too. Secrets lie in
 * files of their own, whose paths are kept from the log as well.
 */
export function withoutSecrets(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/(\w+:\/\/)[^@/\s]+@/g, '$1')
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key,
      secret.test(key) && entry !== undefined ? '(not logged)' : withoutSecrets(entry),
    ]),
  )
}
