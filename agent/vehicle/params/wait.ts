import type { Clock } from '@kestrel/runtime'

/**
 * Resolves once `condition` holds, or after `timeoutMs`.
 *
 * @param onWake is given what to call whenever the condition may have come to hold
 */
export async function until(
  condition: () => boolean,
  timeoutMs: number,
  clock: Clock,
  onWake: (wake: () => void) => void,
): Promise<void> {
  const met = new AbortController()
  onWake(() => {
    if (condition()) met.abort()
  })
  if (!condition()) await clock.sleep(timeoutMs, met.signal)
  onWake(() => {})
}
