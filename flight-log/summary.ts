import { miouOf, type OverviewData } from './overview.js'

/** The end of a file in a few figures: what a list of flights shows. */
export interface FileSummary {
  events: number
  updatesApplied: number
  updatesRefused: number
  rolledBack: number
  /** Messages that could not be written. */
  lost: number
  /** Of the first position, degrees. */
  place?: { latitude: number; longitude: number }
  /** mIoU over the file, 0..1. */
  adapting?: number
  frozen?: number
  scoredFrames: number
  /** How far the ground's clock is ahead of the drone's, ms, the quickest message's way included. */
  offsetMs?: number
}

export function summarise(
  overview: OverviewData,
  { lost, offsetMs }: { lost: number; offsetMs?: number },
): FileSummary {
  const { updates, track, scores } = overview
  const [first] = track
  return {
    events: overview.events.length + overview.eventsLeftOut,
    updatesApplied: updates.applied,
    updatesRefused: updates.refused,
    rolledBack: updates.rolledBack,
    lost,
    place: first && { latitude: first[1], longitude: first[2] },
    adapting: scores && miouOf(scores.adapting, scores.truth),
    frozen: scores && miouOf(scores.frozen, scores.truth),
    scoredFrames: scores?.frames ?? 0,
    offsetMs,
  }
}

/** As a metadata record. */
export function summaryRecord(
  overview: OverviewData,
  more: { lost: number; offsetMs?: number },
): Record<string, string> {
  return { json: JSON.stringify(summarise(overview, more)) }
}

export function parseSummary(values: Record<string, string>): FileSummary | undefined {
  try {
    const value = JSON.parse(values.json)
    return typeof value === 'object' && value !== null ? (value as FileSummary) : undefined
  } catch {
    return undefined
  }
}
