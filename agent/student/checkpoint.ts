import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Student, withParameters } from '@kestrel/models'

/** Older ones go. */
const MOST = 8
const PATTERN = /^v\d{8}\.onnx$/

/**
 * Keeps weights as a model that can be flown or trained on: one ONNX file a version, the eight newest.
 *
 * @returns the file
 * @throws Error where the disk refuses it
 */
export function writeCheckpoint(
  folder: string,
  student: Student,
  { version, parameters }: { version: number; parameters: Float32Array },
): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `v${String(version).padStart(8, '0')}.onnx`)
  writeFileSync(`${file}.new`, withParameters(student, parameters))
  renameSync(`${file}.new`, file)
  const kept = readdirSync(folder)
    .filter(name => PATTERN.test(name))
    .sort()
  for (const name of kept.slice(0, -MOST)) rmSync(join(folder, name), { force: true })
  return file
}
