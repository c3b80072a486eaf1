import { AV_LOG_QUIET } from 'node-av/constants'
import { FFmpegError, Log } from 'node-av/lib'

// Of node-av 6.1.1 only the low-level API is used (node-av/lib): the high-level one needs Promise.withResolvers, which
// Node 20 has not. Two more of its traps, for whoever comes by: a Dictionary handed to open2() is freed twice
// (the heap is corrupted and the process dies later), so options are set with setOption() before opening; and objects are
// freed by hand, since the garbage collector does not see what pictures weigh.

// FFmpeg's own lines would land in the middle of ours; what goes wrong comes back as codes, which become our errors.
Log.setLevel(AV_LOG_QUIET)
// SVT-AV1 has a logger of its own: 0 is fatal errors only.
process.env.SVT_LOG ??= '0'

/** Passes a result on unless it is an error code. */
export function check(code: number, what: string): number {
  if (code >= 0) return code
  throw new Error(`${what}: ${reason(code)}`)
}

/** FFmpeg's words for an error code. */
export function reason(code: number): string {
  return FFmpegError.strerror(code).toLowerCase()
}
