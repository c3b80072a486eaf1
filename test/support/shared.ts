import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** The folder with test data that is not ours to publish; it lies beside the repository, or nowhere. */
const root = join(import.meta.dirname, '../../../../shared')

/** Path of a file in ../shared, or undefined where it is absent: skip the test then, visibly. */
export function sharedPath(name: string): string | undefined {
  const path = join(root, name)
  return existsSync(path) ? path : undefined
}

/** Option for tap: skips with a reason where a path is absent. */
export function needs(...paths: (string | undefined)[]): { skip: string | false } {
  return { skip: paths.includes(undefined) ? '../shared is absent' : false }
}
