import { percentile } from '@kestrel/agent'
import type { Student } from '@kestrel/models'

/** Milliseconds. */
export interface Latencies {
  p50: number
  p99: number
}

export interface Compared {
  pipeline: Latencies
  bare: Latencies
  /** Of the medians. */
  ratio: number
}

export interface FlatOut extends Compared {
  fps: number
  bareFps: number
}

/** Latencies of the frames of some stretches of time, and how many frames were lost in them. */
export interface Stretch extends Latencies {
  frames: number
  dropped: number
}

export interface NearSwaps {
  /** From the coming of an update to 1 s after the roles changed. */
  near: Stretch
  /** As long, without an update. */
  steady: Stretch
  /** p99 around a swap ÷ p99 of the control that belongs to it, median over the swaps: a shared machine changes its speed over minutes. */
  p99RatioMedian: number
  /** From the bytes of an update to its flight, median. */
  applyMs: number
}

export function compare(piped: number[], bare: number[]): Compared {
  return { pipeline: summarise(piped), bare: summarise(bare), ratio: median(piped) / median(bare) }
}

export function summarise(values: number[]): Latencies {
  const sorted = values.slice().sort((a, b) => a - b)
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) }
}

export function median(values: number[]): number {
  return summarise(values).p50
}

/** The table, and JSON as the last line. */
export function printInference(
  setup: { student: Student; threads: number; camera: { width: number; height: number }; swaps: number },
  results: { fps: number; paced: Compared; flatOut: FlatOut; swaps: NearSwaps },
): void {
  const { student, threads, camera, swaps } = setup
  const { fps, paced, flatOut, swaps: near } = results
  const row = (name: string, { p50, p99 }: Latencies, rest = '') =>
    console.log(`${name.padEnd(34)}${p50.toFixed(1).padStart(8)}${p99.toFixed(1).padStart(8)}  ${rest}`)
  console.log(
    `${student.source}, ${student.input.width}x${student.input.height}, camera ${camera.width}x${camera.height}, ` +
      `${threads === 0 ? 'a thread for each physical core' : `${threads} threads`}, ${fps} frames/s where the rate is fixed\n`,
  )
  console.log(`${'camera to label, ms'.padEnd(34)}${'p50'.padStart(8)}${'p99'.padStart(8)}`)
  row('bare session.run, fixed rate', paced.bare)
  row('pipeline, fixed rate', paced.pipeline, `${paced.ratio.toFixed(3)} × bare`)
  row('bare session.run, full speed', flatOut.bare, `${flatOut.bareFps.toFixed(1)} runs/s`)
  row(
    'pipeline, full speed',
    flatOut.pipeline,
    `${flatOut.ratio.toFixed(3)} × bare, ${flatOut.fps.toFixed(1)} frames/s`,
  )
  const overall = near.near.p99 / near.steady.p99
  const stretch = ({ frames, dropped }: Stretch) => `${frames} frames, ${dropped} dropped`
  row('steady, as long', near.steady, stretch(near.steady))
  row(
    `within 1 s of ${swaps} swaps`,
    near.near,
    `${stretch(near.near)}, update to swap ${near.applyMs.toFixed(0)} ms`,
  )
  console.log(
    `\np99 around swaps against as long stretches without one: ${overall.toFixed(2)} × over all frames, ` +
      `${near.p99RatioMedian.toFixed(2)} × in the median of the swaps`,
  )
  console.log(
    JSON.stringify({
      bench: 'inference',
      // As a camera delivers.
      p50RatioToBareRun: paced.ratio,
      p50RatioAtFullSpeed: flatOut.ratio,
      // What the machine loses by itself it loses in both.
      framesDroppedBySwaps: Math.max(0, near.near.dropped - near.steady.dropped),
      framesDroppedNearSwaps: near.near.dropped,
      framesDroppedSteady: near.steady.dropped,
      p99RatioNearSwaps: overall,
      p99RatioMedianOfSwaps: near.p99RatioMedian,
      fps,
      paced,
      flatOut,
      swaps: near,
    }),
  )
}
