import { type Log, messageOf } from '@kestrel/runtime'

/** A part of the agent that runs. Its constructor does nothing. */
export interface Module {
  readonly name: string
  start(): Promise<void> | void
  stop(): Promise<void> | void
}

/**
 * How long one module may take to stop, ms; the rest must not wait for it for ever. Long enough for the last segment to be encoded
 * at low priority on a busy board, and within the 90 s that systemd gives.
 */
const STOP_MS = 60_000

/**
 * Starts modules in order and stops them in reverse.
 *
 * @returns stops them all; where one fails to start, those before it are stopped and its error is thrown
 */
export async function startModules(modules: Module[], log: Log): Promise<() => Promise<void>> {
  const started: Module[] = []
  let stopping: Promise<void> | undefined
  const stop = () => (stopping ??= stopModules(started.reverse(), log))
  for (const module of modules) {
    try {
      await module.start()
      started.push(module)
    } catch (error) {
      await stop()
      throw error
    }
  }
  return stop
}

async function stopModules(modules: Module[], log: Log): Promise<void> {
  for (const module of modules) {
    let timer: NodeJS.Timeout | undefined
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not done after ${STOP_MS / 1000} s`)), STOP_MS)
      })
      await Promise.race([module.stop(), late])
    } catch (error) {
      log.warn(`${module.name} did not stop cleanly: ${messageOf(error)}`)
    } finally {
      clearTimeout(timer)
    }
  }
}
