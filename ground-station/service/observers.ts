import { type Log, messageOf } from '@kestrel/runtime'
import type { GroundObserver } from './observer.js'

/** Tells several observers the same; one that throws harms neither the others nor the flight. */
export function observers(list: readonly GroundObserver[], log: Log): Required<GroundObserver> {
  const tell =
    <K extends keyof GroundObserver>(what: K) =>
    (...news: Parameters<Required<GroundObserver>[K]>) => {
      for (const observer of list) {
        try {
          const hear = observer[what] as ((...news: unknown[]) => void) | undefined
          hear?.apply(observer, news)
        } catch (error) {
          log.error(`An observer failed on a ${what}: ${messageOf(error)}`)
        }
      }
    }
  return {
    status: tell('status'),
    telemetry: tell('telemetry'),
    message: tell('message'),
    phase: tell('phase'),
    view: tell('view'),
    updateResult: tell('updateResult'),
    commandResult: tell('commandResult'),
    event: tell('event'),
    line: tell('line'),
  }
}

/** A log that also hands each line to `listener`. */
export function heardLog(
  log: Log,
  listener: (level: 'debug' | 'info' | 'warn' | 'error', part: string, message: string) => void,
  part = 'ground',
): Log {
  const line =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, figures?: Record<string, unknown>): void => {
      log[level](message, figures)
      listener(level, part, message)
    }
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: name => heardLog(log.child(name), listener, `${part}/${name}`),
  }
}
