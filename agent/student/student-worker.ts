import { parentPort, workerData } from 'node:worker_threads'
import { argmaxUpsampled, loadStudent, StudentRunner, toPlanar } from '@kestrel/models'
import { messageOf, UserError } from '@kestrel/runtime'
import { tryFrames } from './canary.js'
import type { WorkerReply, WorkerRequest, WorkerStart } from './protocol.js'
import {
  canRestorePriority,
  lowerPriority,
  restorePriority,
  restoreThreads,
  threadIds,
} from './thread-priority.js'

// Entry point of a student's thread. ONNX Runtime works synchronously on the thread that calls it, so each of the two
// students has one of its own; requests are answered one at a time, in order.

const port = parentPort!
const start = workerData as WorkerStart
const student = loadStudent(start.bytes, { source: start.source, classes: start.classes })
const { width, height } = student.input
const image = { width, height, data: new Uint8Array(start.frame) }
const labels = new Uint8Array(start.labels)
const planar = new Uint8Array(3 * width * height)
const mayLower = canRestorePriority()

let runner: StudentRunner | undefined
/** Threads of the runner's pool that inherited low priority. */
let quietThreads: number[] = []

/**
 * The runner's own threads are found by looking before and after: whatever else was started meanwhile is none the
 * worse for having the usual priority.
 */
async function load(bytes: Uint8Array, quiet: boolean): Promise<void> {
  await runner?.release()
  runner = undefined
  if (quiet && mayLower) lowerPriority()
  const before = threadIds()
  runner = await StudentRunner.create(student, bytes, { threads: start.threads })
  quietThreads = quiet && mayLower ? [...threadIds()].filter(id => !before.has(id)) : []
}

function activate(): void {
  if (mayLower) restorePriority()
  restoreThreads(quietThreads)
  quietThreads = []
}

async function retire(): Promise<void> {
  if (mayLower) lowerPriority()
  await runner?.release()
  runner = undefined
}

async function label(): Promise<void> {
  const { data, height: h, width: w } = await loaded().logits(toPlanar(image, planar))
  argmaxUpsampled(data, student.output.classes, h, w, height, width, labels)
}

function loaded(): StudentRunner {
  if (runner === undefined) throw new Error('no model is loaded in this worker')
  return runner
}

async function answer(request: WorkerRequest): Promise<WorkerReply> {
  try {
    switch (request.kind) {
      case 'load':
        await load(request.bytes, request.quiet)
        return { ok: true }
      case 'try': {
        const bytes = 3 * width * height
        const frames = Array.from({ length: request.frames }, (_, i) => ({
          width,
          height,
          data: new Uint8Array(start.recent, i * bytes, bytes),
        }))
        return { ok: true, trials: await tryFrames(loaded(), student, frames) }
      }
      case 'activate':
        activate()
        return { ok: true }
      case 'retire':
        await retire()
        return { ok: true }
      case 'label':
        await label()
        return { ok: true }
    }
  } catch (error) {
    return { ok: false, error: messageOf(error), user: error instanceof UserError }
  }
}

let last: Promise<void> = Promise.resolve()
port.on('message', (request: WorkerRequest) => {
  last = last.then(async () => port.postMessage(await answer(request)))
})
