import type { Student } from '@kestrel/models'
import type { Clock, Log } from '@kestrel/runtime'
import type { Teacher } from '../teacher/teacher.js'
import type { TrainingEngine } from '../training/engine.js'
import type { PartialSessionOptions } from './options.js'
import type { LabelledFrame } from './replay-buffer.js'
import type { SessionState } from './state.js'

/** What a ground session is made of. */
export interface SessionInit {
  student: Student
  /** May serve several sessions: it holds no state of theirs. */
  engine: TrainingEngine
  teacher: Teacher
  clock: Clock
  options?: PartialSessionOptions
  /** What the drone flies, where that is not the student as shipped. */
  start?: { version: number; parameters: Float32Array }
  /** Of an earlier process; one that belongs to another student is left aside with a log line. */
  state?: SessionState
  /** Newest labelled frames of an earlier process, oldest first; they belong to `state`. */
  frames?: readonly LabelledFrame[]
  /** For running the student on the hold-out; 0 leaves it to ONNX Runtime (one for each physical core). */
  threads?: number
  log: Log
}
