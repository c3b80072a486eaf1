import { type CompressedImage, decodeLabelPicture, type Flight } from '@kestrel/flight-log'
import type { LabelMap } from '@kestrel/models'
import type { LabelSide } from '../api.js'

/** Labels are shown with a frame that is not further away, ms. */
export const NEAR_MS = 30_000

/** The labels that one side gave a frame. */
export async function labelsAt(
  flight: Flight,
  side: LabelSide,
  captureMs: number,
): Promise<LabelMap | undefined> {
  const found = await flight.latest(`/labels/${side}`, captureMs + 0.001, 1)
  if (found?.message === undefined || Math.abs(found.timeMs - captureMs) > 0.01) return undefined
  return decodeLabelPicture((found.message as CompressedImage).data)
}

/** Time of the labels that are nearest to a frame. */
export async function nearestLabels(
  flight: Flight,
  side: LabelSide,
  atMs: number,
): Promise<number | undefined> {
  const topic = `/labels/${side}`
  const before = await flight.latest(topic, atMs + 0.001, NEAR_MS)
  if (before !== undefined && atMs - before.timeMs < 0.01) return before.timeMs
  const range = { fromMs: atMs, toMs: atMs + NEAR_MS, limit: 1 }
  for await (const after of flight.messages(topic, range)) {
    return before === undefined || after.timeMs - atMs < atMs - before.timeMs ? after.timeMs : before.timeMs
  }
  return before?.timeMs
}
