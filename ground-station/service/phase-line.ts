import type { OutgoingUpdate } from '../session/chain.js'
import type { PhaseReport } from '../session/report.js'

/** One phase in one line for people. */
export function phaseLine(phase: Omit<PhaseReport, 'update'>, update: OutgoingUpdate | undefined): string {
  const { samplingFps, updatePeriodS, holdOutBefore, holdOutAfter, live } = phase
  const trained = phase.trained
    ? [
        `loss ${phase.loss.toFixed(3)} over ${phase.iterations} iterations on ${phase.frames - phase.heldOut} frames`,
      ]
    : []
  const heldOut =
    holdOutBefore === undefined || holdOutAfter === undefined
      ? []
      : [`held-out mIoU ${percent(holdOutBefore)} → ${percent(holdOutAfter)} %`]
  const swap =
    live === undefined
      ? []
      : [
          `the last swap, live: mIoU ${percent(live.before)} → ${percent(live.after)} % on ${live.frames} frames`,
        ]
  const sent =
    update === undefined
      ? `nothing sent (${phase.reason ?? 'no update'})`
      : `update ${update.version}: ${update.count} weights, ${(update.bytes.length / 1000).toFixed(1)} kB`
  const seconds = `${(phase.durationMs / 1000).toFixed(1)} s`
  const rates = `sampling ${samplingFps.toFixed(2)} fps, T_update ${updatePeriodS} s`
  return `phase ${phase.phase}: ${[...swap, ...trained, ...heldOut, sent, `took ${seconds}`, rates].join('; ')}`
}

function percent(value: number): string {
  return (100 * value).toFixed(1)
}
