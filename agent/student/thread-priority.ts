import { readdirSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { endIdle, keepPriorityToItself, setIdle } from './scheduler.js'

// On Linux niceness and policy belong to a thread, not to a process, and new threads inherit them (setpriority(2), "C library/kernel
// differences"); pid 0 is the calling thread. Elsewhere it would slow down the whole process, so nothing is done there.
const perThread = process.platform === 'linux'

/** The niceness that this process was started with. */
const usual = perThread ? getPriority() : 0

/**
 * Ten steps below the usual: where threads of usual priority leave no gap, one that gives way still gets a tenth of a core
 * (weights 110 to 1024).
 */
const STEPS = 10

/** How long work may take at idle priority before it gets its tenth of a core, ms: updates must arrive within T_update. */
const PATIENCE_MS = 1500

/** Gives way to threads of usual priority, as do threads started from here on. */
export function lowerPriority(): void {
  if (perThread) setPriority(Math.min(constants.priority.PRIORITY_LOW, usual + STEPS))
}

/**
 * Takes only what threads of usual priority leave, as do threads started from here on; until `unstarved` loses patience. Where the
 * system would not let the thread return from there, it gives way like any other.
 */
export function idlePriority(): void {
  const returns = canRestorePriority()
  lowerPriority()
  if (returns) setIdle(0)
}

/**
 * Puts the calling thread, and none that it starts, ahead of what else runs on the board: it has little to do, and an autopilot that
 * waits for its heartbeats. Does nothing where the system does not permit it (`LimitNICE` of systemd), or where somebody gave the whole process
 * another niceness than 0.
 *
 * @returns whether it is ahead now
 */
export function raisePriority(): boolean {
  if (!perThread || usual !== 0 || !keepPriorityToItself()) return false
  try {
    setPriority(-STEPS)
  } catch {
    return false
  }
  // Or the thread that is ahead waits for helpers that are not, each time that V8 clears away young objects.
  setFlagsFromString('--no-parallel-scavenge')
  return true
}

/**
 * Whether this thread may lower its priority and have it back: that needs CAP_SYS_NICE or a `LimitNICE` (systemd) that allows
 * the usual niceness. Without, it stays as it is but for one step of niceness.
 */
export function canRestorePriority(): boolean {
  if (!perThread) return false
  try {
    setPriority(usual + 1)
    setPriority(usual)
    return true
  } catch {
    return false
  }
}

/** Gives the calling thread the usual priority again. @throws Error where the system does not permit it */
export function restorePriority(): void {
  if (!perThread) return
  endIdle(0)
  setPriority(usual)
}

/** The threads of this process, by kernel id; empty where they cannot be told. */
export function threadIds(): Set<number> {
  if (!perThread) return new Set()
  return new Set(readdirSync('/proc/self/task').map(Number))
}

/** Gives the usual priority to threads that inherited a lower one; threads that have ended meanwhile are passed over. */
export function restoreThreads(ids: Iterable<number>): void {
  for (const id of ids) {
    try {
      endIdle(id)
      setPriority(id, usual)
    } catch {
      // It has ended.
    }
  }
}

/**
 * Waits for work that threads of idle priority do. Where others leave them too little, all of them get their tenth of a core.
 *
 * @param options.patienceMs how long others may keep them waiting
 */
export async function unstarved<T>(work: Promise<T>, options: { patienceMs?: number } = {}): Promise<T> {
  const { patienceMs = PATIENCE_MS } = options
  const timer = setTimeout(() => {
    for (const id of threadIds()) endIdle(id)
  }, patienceMs)
  try {
    return await work
  } finally {
    clearTimeout(timer)
  }
}
