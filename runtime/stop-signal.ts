import { constants } from 'node:os'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * Aborts at the first SIGINT or SIGTERM that this process gets. The second ends it at once, with the exit code that shells use
 * (128 and the signal's number); what listens for `exit` still runs.
 *
 * @param onFirst hears which it was, before anything stops
 */
export function stopSignal(onFirst: (name: NodeJS.Signals) => void = () => {}): AbortSignal {
  const stopping = new AbortController()
  const stop = (name: NodeJS.Signals) => {
    if (stopping.signal.aborted) process.exit(128 + constants.signals[name])
    onFirst(name)
    stopping.abort()
  }
  for (const name of SIGNALS) process.on(name, stop)
  return stopping.signal
}
