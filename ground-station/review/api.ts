// What the review tells about a flight, as JSON: between the server and the page, and in reports.

/** A flight in the list. */
export interface FlightEntry {
  /** Name in URLs and commands. */
  id: string
  kind: FlightKind
  drone: string
  /** Unix ms; of a log that knows only the time since the autopilot's start, that time. */
  beginMs: number
  endMs: number
  /** Whether `beginMs` is a time of the day. */
  dated: boolean
  place?: { latitudeDeg: number; longitudeDeg: number }
  bytes: number
  /** The files end as they should: no power cut, not flying still. */
  complete: boolean
  updates: number
  refused: number
  events: number
  /** mIoU over the flight, 0..1, of the student that learned, and of the same one frozen. */
  miou?: { adapting: number; frozen: number }
  /** Why the flight cannot be opened. */
  problem?: string
}

/** A log of Kestrel, or one of others: of a MAVLink ground station, of PX4. */
export type FlightKind = 'kestrel' | 'tlog' | 'ulog'

export type Severity = 'error' | 'warning' | 'info'

/** What a marker of the time line stands for, as flight logs name it (flight-log/proto/flight.proto). */
export type EventType =
  | 'flight-start'
  | 'flight-end'
  | 'armed'
  | 'disarmed'
  | 'mode'
  | 'status-text'
  | 'update-applied'
  | 'update-refused'
  | 'rolled-back'
  | 'autopilot-found'
  | 'autopilot-lost'
  | 'link-up'
  | 'link-down'
  | 'log-gap'
  | 'other'

export interface FlightEvent {
  timeMs: number
  type: EventType
  severity: Severity
  text: string
  /** Of the weights, where it is about an update. */
  version?: number
}

export interface SeriesInfo {
  name: string
  /** For people. */
  label: string
  unit: string
  /** Series of one plot. */
  group: string
  /** Shown without being asked for. */
  standard?: boolean
}

export interface SeriesData {
  name: string
  /** Unix ms, ascending. */
  timesMs: number[]
  values: number[]
  /** Where a point stands for many samples: the least and the greatest of them; `values` are their means then. */
  min?: number[]
  max?: number[]
  /** Every sample of the stretch that was asked for is there. */
  exact: boolean
}

/** Columns of equal length. */
export interface Track {
  timesMs: number[]
  latitudeDeg: number[]
  longitudeDeg: number[]
  /** Above mean sea level; NaN is null in JSON. */
  altitudeM: (number | null)[]
}

export type LabelSide = 'student' | 'teacher' | 'frozen'

/** All that the page needs to begin with. */
export interface FlightView extends FlightEntry {
  series: SeriesInfo[]
  track: Track
  eventList: FlightEvent[]
  /** Events beyond those in the list: it is bounded. */
  eventsLeftOut: number
  /** Whether the log has pictures, and whose labels. */
  frames: number
  labels: Partial<Record<LabelSide, number>>
  classes: string[]
  /** RGB. */
  palette: [number, number, number][]
  software: string
  student: string
  /** What the flight was configured with, by name. */
  configuration: Record<string, string>
  parameters: Record<string, number | string>
  /** What went wrong with the files, in sentences. */
  notes: string[]
}

/** What is to be seen at a moment: capture times, Unix ms. */
export interface Moment {
  frameMs?: number
  /** Of the frames before and after that one. */
  previousMs?: number
  nextMs?: number
  /** Of the labels nearest to the frame, by whose they are; they may be of another frame. */
  labels: Partial<Record<LabelSide, number>>
}

/** A version of the student that the drone was sent. */
export interface UpdateEntry {
  version: number
  /** When the drone answered, Unix ms. */
  timeMs: number
  applied: boolean
  /** Why not, in words. */
  reason: string
  bytes: number
}

/** What an update changed. */
export interface UpdateView extends UpdateEntry {
  /** `rerun`: both versions of the student labelled the same frame here. `logged`: the labels nearest in the log, of two frames. */
  how: 'rerun' | 'logged' | 'none'
  /** Why the student was not run again, in words. */
  note: string
  before?: UpdateSide
  after?: UpdateSide
}

export interface UpdateSide {
  frameMs: number
  /** mIoU 0..1 against the teacher's labels of the frame, where it has some. */
  miou: number | null
}

export interface ClassScore {
  name: string
  /** Of the teacher's labelled pixels, 0..1. */
  share: number
  /** IoU 0..1, null where neither truth nor labels have the class. */
  adapting: number | null
  frozen: number | null
}

/** IoU of a stretch of the flight, against the teacher's labels. */
export interface Scores {
  fromMs: number
  toMs: number
  frames: number
  miou: { adapting: number | null; frozen: number | null }
  classes: ClassScore[]
}

/** mIoU 0..1 of the trailing window at a moment. */
export interface ScoredMoment {
  timeMs: number
  adapting: number
  frozen: number
  version: number
}

/** What there is to review. */
export interface FlightList {
  /** The folder, or the file. */
  root: string
  /** Newest first. */
  flights: FlightEntry[]
}
