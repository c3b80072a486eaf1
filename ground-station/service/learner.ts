import type { Colour, LabelMap } from '@kestrel/models'
import type { ModelReport, OutgoingUpdate } from '../session/chain.js'
import type { PhaseReport, UpdateAnswer } from '../session/report.js'
import type { LiveView } from './live-view.js'

/** What the learner is asked to do for a drone; one job at a time. */
export type Job =
  /** A drone that was accepted says what it flies (status, resync). The first one opens its session. */
  (
    | { kind: 'report'; drone: string; report: ModelReport }
    | { kind: 'answer'; drone: string; answer: UpdateAnswer }
    /** `message`: the whole envelope as it crossed the link; `id`: its own. */
    | SegmentJob
    | { kind: 'phase'; drone: string }
    /** Somebody wants the drone to fly the version before again. */
    | { kind: 'reject'; drone: string }
    /** Another process teaches it: saves its session and drops it. */
    | { kind: 'forget'; drone: string }
  ) & {
    /** Of the lease in a cluster: a session of an earlier term is no longer true, and is loaded anew. */
    term?: number
  }

/** What the teacher made of a frame. */
export interface TaughtFrame {
  /** When it was taken, ms of the drone's clock (Unix time). */
  captureMs: number
  /** Small, for looking at. */
  labels: LabelMap
}

export interface SegmentJob {
  kind: 'segment'
  drone: string
  message: Uint8Array
  id: Uint8Array
}

/** What came of a job. */
export interface JobResult {
  /** To send to the drone now. */
  update?: OutgoingUpdate
  /** What the phase did; its update is in `update`. */
  phase?: Omit<PhaseReport, 'update'>
  /** Frames that a segment brought. */
  frames?: number
  /** How what flies labels them. */
  view?: LiveView
  /** The teacher's labels of the segment's frames, where flights are logged. */
  taught?: TaughtFrame[]
  /** Labelled frames that no phase has seen yet. */
  newFrames: number
  /** r, frames/s, and T_update, s. */
  samplingFps: number
  updatePeriodS: number
  /** SHA-256 of weights that the drone must not fly; told with the rates. */
  rejectDigest?: Uint8Array
}

/** What drones must fly to be taught here. */
export interface StudentIdentity {
  source: string
  classes: string[]
  /** RGB of each class. */
  palette?: Colour[]
  layoutDigest: Uint8Array
}

/** Holds teacher, training engine and sessions, on a thread of its own. */
export interface Learner {
  readonly student: StudentIdentity
  /** Resolves with the result, or rejects with what went wrong; the learner goes on either way. */
  run(job: Job): Promise<JobResult>
  /** Ends a phase that is running before its next iteration, saves every session and releases everything. */
  close(): Promise<void>
}
