import { readdirSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

// On Linux a nice value belongs to a thread, not to a process, and new threads inherit it (setpriority(2), "C library/kernel
// differences"); pid 0 is the calling thread. Elsewhere it would slow down the whole process, so nothing is done there.
const perThread = process.platform === 'linux'

/** The niceness that this process was started with. */
const usual = perThread ? getPriority() : 0

/**
 * Ten steps below the usual: where threads of usual priority leave no gap, one that gives way still gets a tenth of a core
 * (weights 110 to 1024). An update must arrive within T_update even where the student never pauses, which at the lowest
 * priority (weight 15) it would not.
 */
const STEPS = 10

/** Gives way to threads of usual priority, as do threads started from here on. */
export function lowerPriority(): void {
  if (perThread) setPriority(Math.min(constants.priority.PRIORITY_LOW, usual + STEPS))
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
  if (perThread) setPriority(usual)
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
      setPriority(id, usual)
    } catch {
      // It has ended.
    }
  }
}
