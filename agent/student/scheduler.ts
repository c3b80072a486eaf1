import koffi from 'koffi'

/** Scheduling policies of Linux (sched(7)). */
const SCHED_OTHER = 0
const SCHED_IDLE = 5
const SCHED_RESET_ON_FORK = 0x40000000
/** prctl(2) */
const PR_SET_NAME = 15

/** The C library's calls; undefined where they cannot be had (no Linux, or a platform for which koffi has no binary). */
const libc = load()

function load() {
  if (process.platform !== 'linux') return undefined
  try {
    const library = koffi.load('libc.so.6')
    koffi.struct('sched_param', { sched_priority: 'int' })
    return {
      set: library.func('int sched_setscheduler(int pid, int policy, const sched_param *param)'),
      get: library.func('int sched_getscheduler(int pid)'),
      prctl: library.func('int prctl(int option, const char *name)'),
    }
  } catch {
    return undefined
  }
}

/**
 * Lets a thread run only where no other wants the core. A low nice value is not enough: the scheduler lets a thread that runs
 * finish its slice of some milliseconds, whatever its niceness, unless its policy is SCHED_IDLE; and a frame that is computed by
 * all cores at once waits for the slowest.
 *
 * @param id the kernel's id of the thread; 0: the calling one
 */
export function setIdle(id: number): void {
  libc?.set(id, SCHED_IDLE, { sched_priority: 0 })
}

/** Back to the usual policy, with the niceness that the thread has. Does nothing to a thread that has it already. */
export function endIdle(id: number): void {
  if (libc?.get(id) === SCHED_IDLE) libc.set(id, SCHED_OTHER, { sched_priority: 0 })
}

/** Whether a thread runs only where no other wants the core. */
export function isIdle(id: number): boolean {
  return libc?.get(id) === SCHED_IDLE
}

/** Threads and processes that the calling thread starts from here on do not inherit a priority above the usual. @returns whether it is so */
export function keepPriorityToItself(): boolean {
  return libc?.set(0, SCHED_OTHER | SCHED_RESET_ON_FORK, { sched_priority: 0 }) === 0
}

/** What `top -H` and /proc call the calling thread, and threads that it starts from here on. @param name at most 15 bytes */
export function nameThread(name: string): void {
  libc?.prctl(PR_SET_NAME, name)
}
