import type { GroundConfig } from './config.js'
import type { Job, JobResult, StudentIdentity } from './learner.js'

/** What the learner's thread is started with. */
export interface LearnerWorkerData {
  config: GroundConfig
  /** One int32: not 0 asks a running phase to end. Shared, since training leaves its thread no time to read messages. */
  stop: SharedArrayBuffer
}

export type ToLearner = { kind: 'job'; id: number; job: Job } | { kind: 'close' }

/** An error on its way to another thread; `user`: it was a UserError. */
export interface CarriedError {
  message: string
  user: boolean
  stack?: string
}

export type FromLearner =
  | { kind: 'ready'; student: StudentIdentity }
  | { kind: 'failed'; error: CarriedError }
  | { kind: 'done'; id: number; result: JobResult }
  | { kind: 'refused'; id: number; error: CarriedError }
  | { kind: 'closed' }
  | {
      kind: 'log'
      level: 'debug' | 'info' | 'warn' | 'error'
      parts: string[]
      message: string
      figures?: Record<string, unknown>
    }
