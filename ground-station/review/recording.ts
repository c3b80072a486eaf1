import type { LabelMap, RgbImage } from '@kestrel/models'
import type {
  FlightEntry,
  FlightView,
  LabelSide,
  Moment,
  ScoredMoment,
  Scores,
  SeriesData,
  UpdateEntry,
  UpdateView,
} from './api.js'

/** A stretch of time, Unix ms, both ends included. */
export interface Stretch {
  fromMs: number
  toMs: number
}

export interface SeriesQuery extends Partial<Stretch> {
  names: string[]
  /** Of each series. */
  maxPoints: number
}

/** An opened log, whoever wrote it. What a kind of log does not hold is empty or undefined. */
export interface Recording {
  /** What a list shows of it; quick. */
  entry(): FlightEntry
  /** All but the samples: what a page begins with. */
  view(): Promise<FlightView>
  /** @throws UserError where a series does not exist */
  series(query: SeriesQuery): Promise<SeriesData[]>
  /** What there was to see at a time: the last frame until then, or the first. */
  moment(atMs: number): Promise<Moment>
  /** The frame that was taken at that time. */
  frame(captureMs: number): Promise<RgbImage | undefined>
  /** The labels of that time. */
  labels(side: LabelSide, captureMs: number): Promise<LabelMap | undefined>
  /** The moments at which learning helped most and least, not close together. */
  highlights(count: number): Promise<{ best: ScoredMoment[]; worst: ScoredMoment[] }>
  scores(stretch?: Stretch): Promise<Scores | undefined>
  updates(): Promise<UpdateEntry[]>
  update(version: number): Promise<UpdateView | undefined>
  updateLabels(version: number, side: 'before' | 'after'): Promise<LabelMap | undefined>
  close(): Promise<void>
}
