import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { LabelMap, RgbImage } from '@kestrel/models'
import type { WholeUpdate } from './updates.js'

/** What the thread is given, and what it answers. */
export interface RerunJob {
  student: string
  updates: WholeUpdate[]
  image: RgbImage
}

export type RerunAnswer = { before: LabelMap; after: LabelMap } | { failure: string }

/** The students that come with Kestrel. */
const SHIPPED = resolve(import.meta.dirname, '../../../../models')

/** The file of a flight's student on this machine, by the name that the log gives. */
export function findStudent(name: string, configured: string[]): string | undefined {
  const file = basename(name)
  if (file === '') return undefined
  return [...configured, name, join(SHIPPED, file)].find(path => basename(path) === file && existsSync(path))
}

/**
 * Runs two versions of a student on one frame, the last of `updates` and the one before it, on a thread of their own (ONNX Runtime holds the
 * thread that calls it).
 *
 * @throws Error with a sentence where these weights do not come of this student
 */
export function rerun(job: RerunJob): Promise<{ before: LabelMap; after: LabelMap }> {
  const worker = new Worker(new URL('./rerun-worker.js', import.meta.url), { workerData: job })
  return new Promise<{ before: LabelMap; after: LabelMap }>((done, fail) => {
    worker.once('error', fail)
    worker.once('exit', () => fail(new Error('The student could not be run')))
    worker.once('message', (answer: RerunAnswer) => {
      if ('failure' in answer) fail(new Error(answer.failure))
      else done(answer)
    })
  }).finally(() => worker.terminate())
}
