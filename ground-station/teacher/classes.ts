import { IGNORE, mapClasses } from '@kestrel/models'
import { type Log, messageOf, UserError } from '@kestrel/runtime'

/**
 * The table from a teacher's labels to the student's classes, by name, and one log line about names without a counterpart.
 *
 * @param options.source names the teacher in messages
 * @param options.ignore the teacher's label for "unlabelled"
 * @returns 256 entries, `IGNORE` where a label has no counterpart
 */
export function teacherTable(options: {
  source: string
  classes: string[]
  ignore?: number
  studentClasses: string[]
  log: Log
}): Uint8Array {
  const { source, classes, ignore, studentClasses, log } = options
  let table: Uint8Array
  try {
    table = mapClasses(classes, studentClasses)
  } catch (cause) {
    throw new UserError(`${source}: ${messageOf(cause)}`, { cause })
  }
  if (ignore !== undefined) table[ignore] = IGNORE
  const taught = new Set(table)
  const foreign = classes.filter((_, index) => table[index] === IGNORE && index !== ignore)
  const untaught = studentClasses.filter((_, index) => !taught.has(index))
  if (foreign.length > 0)
    log.warn(`The student has no class for the teacher's ${foreign.join(', ')}: left unlabelled`)
  if (untaught.length > 0) log.warn(`The teacher never shows the student's ${untaught.join(', ')}`)
  return table
}
