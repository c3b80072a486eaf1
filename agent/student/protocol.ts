import type { ClassList } from '@kestrel/models'

/** What a student worker is started with. */
export interface WorkerStart {
  /** The shipped model, from which names, sizes and classes are read. */
  bytes: Uint8Array
  source: string
  classes: ClassList
  /** Intra-operator threads, 0 = all cores. */
  threads: number
  /** One frame, packed RGB24 at the student's size. */
  frame: SharedArrayBuffer
  /** Its labels, one byte a pixel at the student's size. */
  labels: SharedArrayBuffer
  /** Up to `CANARY_FRAMES` recent frames, the same layout, one after the other; shared by both workers. */
  recent: SharedArrayBuffer
}

/** How many recent frames new weights are tried on. */
export const CANARY_FRAMES = 3

export type WorkerRequest =
  /** Load and warm a model, with low priority where `quiet`. */
  | { kind: 'load'; bytes: Uint8Array; quiet: boolean }
  /** Run on the first `frames` recent frames. */
  | { kind: 'try'; frames: number }
  /** Take the usual priority: frames come next. */
  | { kind: 'activate' }
  /** Forget the model, with low priority. */
  | { kind: 'retire' }
  /** Label the shared frame. */
  | { kind: 'label' }

export type WorkerReply =
  | { ok: true; trials?: Trial[] }
  /** `user`: a UserError's message. */
  | { ok: false; error: string; user: boolean }

/** What a model made of one frame. */
export interface Trial {
  finite: boolean
  /** How many classes appear in the arg-max. */
  classes: number
}
