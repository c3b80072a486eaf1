import type { Telemetry } from '@kestrel/link'
import type { Observed } from './flight-observer.js'

/** Frames that are lost this close to a swap count as its, ms; telemetry comes once a second. */
const NEAR_MS = 1500

/** Prints how the flight went, and as JSON. */
export function reportFlight(
  { scenario, minutes, link }: { scenario: string; minutes: number; link: string },
  observed: Observed,
): void {
  const { beatsMs: beats, telemetry, watcherLateMs } = observed
  const jitter = beats
    .slice(1)
    .map((ms, i) => Math.abs(ms - beats[i] - 1000))
    .toSorted((a, b) => a - b)
  const at = (share: number) => jitter[Math.min(jitter.length - 1, Math.floor(share * jitter.length))]
  const [first, last] = [telemetry[0].value, telemetry[telemetry.length - 1].value]
  const since = (of: (value: Telemetry) => bigint) => Number(of(last) - of(first))
  const frames = since(({ vehicle }) => vehicle?.frames ?? 0n)
  const tagged = since(({ vehicle }) => vehicle?.framesTagged ?? 0n)
  const lost = { near: 0, elsewhere: 0 }
  for (const [i, { atMs, value }] of telemetry.slice(1).entries()) {
    const dropped = Number(value.framesDropped - telemetry[i].value.framesDropped)
    const isNear = observed.swapsMs.some(ms => ms > telemetry[i].atMs - NEAR_MS && ms < atMs + NEAR_MS)
    lost[isNear ? 'near' : 'elsewhere'] += dropped
  }
  const result = {
    bench: 'flight',
    scenario,
    minutes,
    link,
    frames,
    taggedShare: tagged / frames,
    sampled: observed.sampled,
    sampledWithPoseShare: observed.sampledWithPose / observed.sampled,
    heartbeats: beats.length,
    heartbeatJitterP50Ms: at(0.5),
    heartbeatJitterP99Ms: at(0.99),
    heartbeatJitterMaxMs: jitter.at(-1),
    watcherLateMaxMs: watcherLateMs,
    swaps: observed.swapsMs.length,
    updatesRefused: observed.refused,
    lostNearSwaps: lost.near,
    lostElsewhere: lost.elsewhere,
  }
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`
  console.log(`frames with a pose      ${tagged} of ${frames} (${percent(tagged / frames)})`)
  console.log(
    `sampled frames with one ${observed.sampledWithPose} of ${observed.sampled} (${percent(result.sampledWithPoseShare)})`,
  )
  console.log(
    `heartbeat jitter        p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, max ${jitter.at(-1)?.toFixed(1)} ms, of ${beats.length}; the bench itself late by at most ${watcherLateMs.toFixed(1)} ms`,
  )
  console.log(
    `frames lost             ${lost.near} within ${NEAR_MS / 1000} s of ${result.swaps} swaps, ${lost.elsewhere} elsewhere`,
  )
  console.log(JSON.stringify(result))
}
