import type { Score } from '../metric/scorer.js'
import type { SchemeStats } from '../schemes/scheme.js'

/** One scheme in results.json. Percentages carry full precision; `null` where nothing was labelled. */
export interface SchemeResult {
  /** Mean over all frames of the mIoU of the trailing window, percent. */
  miouWindow: number | null
  /** mIoU of the whole video's confusion matrix, percent. */
  miouVideo: number | null
  /** mIoU of one confusion matrix over the second half of the time, percent. */
  miouSecondHalf: number | null
  /** Bits that crossed the link per second of video, kbit/s = 1000 bit/s. */
  uplinkKbps: number
  downlinkKbps: number
  /** Weight updates (or label maps) that reached the drone and were applied. */
  updates: number
  /** Frames sent up per second of video. */
  meanSamplingFps: number
  /** Whole-video IoU by class name, percent; `null`: the class occurs nowhere. */
  perClassIou: Record<string, number | null>
  /** mIoU of the trailing window that ends at t seconds, percent. */
  series: { t: number; miou: number | null }[]
  /** What else the scheme counted, such as phases whose update was held back. */
  details: Record<string, number | string>
  /** Wall-clock time that the scheme took, s (not deterministic). */
  wallS: number
}

/** The file that `evaluate` writes. All but `date`, `machine` and `wallS` repeats exactly for one seed on one machine. */
export interface Results {
  format: 1
  command: string
  date: string
  machine: { cpu: string; cores: number; memoryGB: number; os: string; node: string }
  versions: Record<string, string>
  seed: number
  delayS: number
  settings: Record<string, number | string | boolean>
  video: { source: string; frames: number; fps: number; durationS: number; width: number; height: number }
  teacher: { source: string; labelsSha256: string; width: number; height: number }
  student: { source: string; sha256: string; parameters: number; classes: string[] }
  metric: { windowS: number }
  schemes: Record<string, SchemeResult>
}

/** Puts the figures of one scheme into the units of results.json. */
export function schemeResult(options: {
  score: Score
  stats: SchemeStats
  classes: string[]
  durationS: number
  wallS: number
}): SchemeResult {
  const { score, stats, classes, durationS, wallS } = options
  const kbps = (bytes: number) => (bytes * 8) / 1000 / durationS
  return {
    miouWindow: percent(score.miouWindow),
    miouVideo: percent(score.miouVideo),
    miouSecondHalf: percent(score.miouSecondHalf),
    uplinkKbps: kbps(stats.uplinkBytes),
    downlinkKbps: kbps(stats.downlinkBytes),
    updates: stats.updates,
    meanSamplingFps: stats.sampledFrames / durationS,
    perClassIou: Object.fromEntries(classes.map((name, i) => [name, percent(score.perClassIou[i])])),
    series: score.series.map(({ t, miou }) => ({ t, miou: percent(miou) })),
    details: stats.details ?? {},
    wallS,
  }
}

function percent(ratio: number | undefined): number | null {
  return ratio === undefined ? null : 100 * ratio
}
