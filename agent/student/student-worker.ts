import { parentPort, workerData } from 'node:worker_threads'
import { loadStudent } from '@kestrel/models'
import { messageOf, UserError } from '@kestrel/runtime/errors'
import { tryFrames } from './canary.js'
import { Signal, type WorkerReply, type WorkerRequest, type WorkerStart } from './protocol.js'
import { nameThread } from './scheduler.js'
import { StudentSession } from './student-session.js'
import {
  canRestorePriority,
  idlePriority,
  restorePriority,
  restoreThreads,
  threadIds,
} from './thread-priority.js'

// Entry point of a student's thread. ONNX Runtime works synchronously on the thread that calls it, so each of the two
// students has one of its own. In standby it answers messages, one at a time, in order; active, it sleeps until a frame comes.

const port = parentPort!
nameThread('kestrel-student')
const start = workerData as WorkerStart
const student = loadStudent(start.bytes, { source: start.source, classes: start.classes })
const { width, height } = student.input
const image = { width, height, data: new Uint8Array(start.frame) }
const labels = new Uint8Array(start.labels)
const signals = new Int32Array(start.signals)
const mayLower = canRestorePriority()

let session: StudentSession | undefined
/** Threads of the session's pool that inherited low priority. */
let quietThreads: number[] = []
let active = false
let flight: Promise<void> = Promise.resolve()
let failure: unknown

/**
 * The session's own threads are found by looking before and after: whatever else was started meanwhile is none the
 * worse for having the usual priority.
 */
async function load(bytes: Uint8Array, quiet: boolean): Promise<void> {
  await session?.release()
  session = undefined
  if (quiet && mayLower) idlePriority()
  const before = threadIds()
  session = await StudentSession.create(student, bytes, { threads: start.threads })
  quietThreads = quiet && mayLower ? [...threadIds()].filter(id => !before.has(id)) : []
}

function activate(): void {
  if (mayLower) restorePriority()
  restoreThreads(quietThreads)
  quietThreads = []
  active = true
  flight = fly()
}

async function retire(): Promise<void> {
  active = false
  await flight
  if (mayLower) idlePriority()
  await session?.release()
  session = undefined
}

/** Nothing keeps the thread from ending any more: no session, nobody to answer. */
async function end(): Promise<void> {
  active = false
  await flight
  await session?.release()
  session = undefined
  port.close()
}

/** Labels frames until retired. Sleeps between them, but for one turn of the event loop where a message may have come. */
async function fly(): Promise<void> {
  // The answer to `activate` goes out first.
  await turn()
  while (active) {
    const seen = Atomics.load(signals, Signal.wake)
    const frame = Atomics.load(signals, Signal.frame)
    if (frame !== Atomics.load(signals, Signal.done)) await label(frame)
    else await turn()
    if (active) Atomics.wait(signals, Signal.wake, seen)
  }
}

async function label(frame: number): Promise<void> {
  let failed = 0
  try {
    await loaded().label(image, labels)
  } catch (error) {
    failure = error
    failed = 1
  }
  Atomics.store(signals, Signal.failed, failed)
  Atomics.store(signals, Signal.done, frame)
  Atomics.notify(signals, Signal.done)
}

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function loaded(): StudentSession {
  if (session === undefined) throw new Error('no model is loaded in this worker')
  return session
}

async function answer(request: Exclude<WorkerRequest, { kind: 'end' }>): Promise<WorkerReply> {
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
        return { ok: true, trials: await tryFrames(loaded(), frames) }
      }
      case 'activate':
        activate()
        return { ok: true }
      case 'retire':
        await retire()
        return { ok: true }
      case 'failure':
        throw failure
    }
  } catch (error) {
    return { ok: false, error: messageOf(error), user: error instanceof UserError }
  }
}

let last: Promise<void> = Promise.resolve()
port.on('message', (request: WorkerRequest) => {
  last = last.then(async () => (request.kind === 'end' ? end() : port.postMessage(await answer(request))))
})
