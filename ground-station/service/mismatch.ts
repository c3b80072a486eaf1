import type { Status } from '@kestrel/link'
import type { StudentIdentity } from './learner.js'

/** Why a drone cannot be taught here: it must fly the same student. */
export function mismatch(status: Status, student: StudentIdentity): string | undefined {
  const same = Buffer.compare(status.layoutDigest, student.layoutDigest) === 0
  if (!same) {
    return (
      `it flies ${status.student} (${status.parameterCount} parameters), whose layers are not those of ${student.source}; ` +
      'give both sides the same student file'
    )
  }
  if (status.classes.join('\n') !== student.classes.join('\n')) {
    return (
      `its student knows the classes ${status.classes.join(', ')}, but ${student.source} has ${student.classes.join(', ')}; ` +
      'give both sides the same student file'
    )
  }
  return undefined
}
