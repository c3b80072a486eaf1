import type { LabelMap, RgbImage } from '@kestrel/models'
import type { FlightEvent, FlightView, LabelSide, Scores, SeriesData } from './api.js'

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

/** A frame of the log with the moment at which it was taken. */
export interface LoggedFrame {
  captureMs: number
  image: RgbImage
}

export interface LoggedLabels {
  captureMs: number
  map: LabelMap
}

/** An opened log, whoever wrote it. What a kind of log does not hold is empty or undefined. */
export interface Recording {
  /** All but the samples: what a page begins with. */
  view(): Promise<FlightView>
  /** @throws UserError where a series does not exist */
  series(query: SeriesQuery): Promise<SeriesData[]>
  /** The frame that was on screen at that time: the last one until then, or the first. */
  frameAt(ms: number): Promise<LoggedFrame | undefined>
  labelsAt(side: LabelSide, ms: number): Promise<LoggedLabels | undefined>
  scores(stretch: Stretch): Promise<Scores | undefined>
  /** Labels of a frame before and after a version of the student. */
  beforeAfter(version: number): Promise<BeforeAfter | undefined>
  events(): AsyncIterable<FlightEvent>
  close(): Promise<void>
}

/** What an update changed on one frame. */
export interface BeforeAfter {
  version: number
  frame: LoggedFrame
  before: LoggedLabels
  after: LoggedLabels
  /** The weights of both versions labelled the same frame, or the labels are those nearest in the log. */
  how: 'rerun' | 'logged'
}
