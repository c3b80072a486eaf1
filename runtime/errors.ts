/**
 * An error that the person at the keyboard can mend: what was expected, what was found, what to do.
 * Entry points print its message without a stack trace; anything else is a defect and keeps its stack.
 */
export class UserError extends Error {
  override readonly name = 'UserError'
}

/** The message of anything that was thrown, for log lines. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
