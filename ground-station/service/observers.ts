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
    taught: tell('taught'),
    updateResult: tell('updateResult'),
    commandResult: tell('commandResult'),
    event: tell('event'),
    line: tell('line'),
  }
}
