import { UserError } from '@kestrel/runtime'

/**
 * What an entry point does with an error: a UserError is one message and exit code 2, anything else keeps its stack and
 * is exit code 1.
 */
export function reportFailure(error: unknown): number {
  if (error instanceof UserError) {
    process.stderr.write(`${error.message}\n`)
    return 2
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  return 1
}
