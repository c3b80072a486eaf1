import { copyFileSync, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '@kestrel/runtime'
import { logFormat } from '../open-log.js'

/** The telemetry log that the drone kept beside its own. */
export async function writeTlog(source: string, out: string): Promise<string[]> {
  const file = statSync(source).isDirectory() ? join(source, 'flight.tlog') : source
  if (!existsSync(file) || logFormat(file) !== 'tlog') {
    throw new UserError(
      `${source} has no telemetry log (flight.tlog): it is kept where the drone has an autopilot, in its own folder of the flight`,
    )
  }
  copyFileSync(file, out)
  return [`${out}: ${statSync(out).size} bytes`]
}
