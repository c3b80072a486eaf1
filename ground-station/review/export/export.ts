import { rmSync, statSync } from 'node:fs'
import { messageOf, UserError } from '@kestrel/runtime'
import type { Recording } from '../recording.js'
import { writeCsv } from './csv.js'
import { writeDataset } from './dataset.js'
import { writeLayout } from './layout.js'
import { writeMovie } from './movie.js'
import { writeTlog } from './tlog.js'

/** What a flight can be written as. */
export const exportFormats = {
  csv: 'every series, one row for each moment',
  mp4: 'a film of the sampled frames with the labels of student and teacher, and subtitles beside it',
  dataset: 'frames and the teacher’s labels, as pretrain and evaluate read them',
  'foxglove-layout': 'a layout for Foxglove or Lichtblick that shows such a flight',
  tlog: 'the MAVLink packets, for Mission Planner, MAVProxy and QGroundControl',
} as const

export type ExportFormat = keyof typeof exportFormats

export interface ExportOptions {
  format: ExportFormat
  /** The file, or the folder of a dataset. */
  out: string
  /** The log that was opened. */
  source: string
}

/**
 * @returns what was written, in lines for people
 * @throws UserError where the flight has nothing of that kind, or it cannot be written
 */
export async function exportFlight(recording: Recording, options: ExportOptions): Promise<string[]> {
  const { format, out, source } = options
  const existed = statSync(out, { throwIfNoEntry: false }) !== undefined
  try {
    if (format === 'csv') return await writeCsv(recording, out)
    if (format === 'mp4') return await writeMovie(recording, out)
    if (format === 'dataset') return await writeDataset(recording, out)
    if (format === 'foxglove-layout') return await writeLayout(recording, out)
    return await writeTlog(source, out)
  } catch (cause) {
    // Half a file would look like a whole one.
    if (!existed) rmSync(out, { recursive: true, force: true })
    if (cause instanceof UserError) throw cause
    throw new UserError(`Cannot export to ${out}: ${messageOf(cause)}`, { cause })
  }
}
