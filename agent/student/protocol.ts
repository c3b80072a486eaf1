import type { ClassList } from '@kestrel/models'

/** What a student worker is started with. */
export interface WorkerStart {
  /** The shipped model, from which names, sizes and classes are read. */
  bytes: Uint8Array
  source: string
  classes: ClassList
  /** Intra-operator threads, 0 = one for each physical core. */
  threads: number
  /** One frame, packed RGB24 at the student's size. */
  frame: SharedArrayBuffer
  /** Its labels, one byte a pixel at the student's size. */
  labels: SharedArrayBuffer
  /** Up to `CANARY_FRAMES` recent frames, the same layout, one after the other; shared by both workers. */
  recent: SharedArrayBuffer
  /** The `Signal` words of this worker, int32. */
  signals: SharedArrayBuffer
}

/**
 * Frames do not go by message: a futex in shared memory wakes the other thread in half the time (0.07 ms there and back instead of
 * 0.15 ms, and 0.4 instead of 3.6 ms in the worst of a hundred).
 */
export const Signal = {
  /** Changes when there is something to do: a frame, or a message in the port. The active worker sleeps on it. */
  wake: 0,
  /** Number of the newest frame that waits for labels. */
  frame: 1,
  /** Number of the newest frame that has them. The main thread sleeps on it. */
  done: 2,
  /** 1 when that frame could not be labelled; a `failure` request tells why. */
  failed: 3,
} as const

export const SIGNAL_BYTES = 16

/** How many recent frames new weights are tried on. */
export const CANARY_FRAMES = 3

export type WorkerRequest =
  /** Load and warm a model, with low priority where `quiet`. */
  | { kind: 'load'; bytes: Uint8Array; quiet: boolean }
  /** Run on the first `frames` recent frames. */
  | { kind: 'try'; frames: number }
  /** Take the usual priority and wait for frames. */
  | { kind: 'activate' }
  /** Forget the model, after the frame in progress, with low priority. */
  | { kind: 'retire' }
  /** Why the last frame could not be labelled; the answer is an error. */
  | { kind: 'failure' }
  /** Forget the model and end the thread; there is no answer. */
  | { kind: 'end' }

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
