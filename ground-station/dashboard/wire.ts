/* What the live page and the server say to each other: types only, shared by both. Times are Unix ms of the ground's clock unless said. */

/** The columns of the history, one row a second. `t` is Unix time in s. Unknown values are null. */
export const columns = [
  't',
  'adapting',
  'frozen',
  'samplingFps',
  'phi',
  'upKbps',
  'downKbps',
  'fps',
  'latencyP50Ms',
  'latencyP99Ms',
  'temperatureC',
  'cpu',
  'batteryPercent',
  'batteryV',
  'latitude',
  'longitude',
  'heightM',
  'headingDeg',
] as const

export type Column = (typeof columns)[number]
export type Row = (number | null)[]

export interface LiveEvent {
  /** Ascending over all drones. */
  seq: number
  drone: string
  timeMs: number
  severity: 'info' | 'warning' | 'error'
  type: string
  text: string
}

/** One weight update, newest first in lists. */
export interface UpdateRow {
  version: number
  baseVersion?: number
  weights?: number
  bytes?: number
  sentMs?: number
  answeredMs?: number
  state: 'sent' | 'flies' | 'flown' | 'refused' | 'rolled-back'
  /** Why it was refused. */
  reason?: string
  /** mIoU 0..1 on held-out frames, before and after. */
  holdOut?: { before: number; after: number }
}

export interface ViewInfo {
  id: number
  captureMs: number
  modelVersion: number
  width: number
  height: number
}

export interface DroneState {
  name: string
  online: boolean
  /** Why it is not taught here. */
  refusal?: string
  student: string
  software: string
  /** Of the flight, where it is in one. */
  flight?: string
  modelVersion: number
  /** When something came last. */
  heardMs: number
  telemetry?: {
    timeMs: number
    fps: number
    latencyP50Ms: number
    latencyP99Ms: number
    frames: number
    framesDropped: number
    outboxSegments: number
    segmentsDropped: number
    samplingFps: number
  }
  /** Trailing 30 s. */
  upKbps: number
  downKbps: number
  /** mIoU 0..1 of the trailing window; NaN never: absent where unknown. */
  miou?: { frames: number; adapting: number; frozen: number; timeMs: number }
  phase?: {
    phase: number
    timeMs: number
    phi?: number
    samplingFps: number
    updatePeriodS: number
    loss?: number
    iterations: number
    sent: boolean
    reason?: string
    durationMs: number
  }
  view?: ViewInfo
  learning?: { paused: boolean; minFps: number; maxFps: number; holds: string[] }
  vehicle?: {
    connected: boolean
    kind: string
    armed: boolean
    mode: string
    gpsFix: number
    satellites: number
    batteryV?: number
    batteryA?: number
    batteryPercent?: number
    speedMps?: number
    heightM?: number
  }
  board?: {
    model: string
    cpu: number
    memory: number
    temperatureC?: number
    /** In words: under-voltage, throttling, a full disk. */
    troubles: string[]
    limitFps?: number
  }
}

export interface Hello {
  kind: 'hello'
  nowMs: number
  classes: string[]
  palette: [number, number, number][]
  tiles?: string
  /** Over which the live mIoU is taken, s; 0 frames a segment means that there is none. */
  scores: { windowS: number; framesPerSegment: number }
  uplinkKbps: number
  historyS: number
}

/** What has changed since the last one that this page got. */
export interface News {
  kind: 'news'
  nowMs: number
  drones: DroneState[]
  rows: Record<string, Row[]>
  updates: Record<string, UpdateRow[]>
  events: LiveEvent[]
  /** States that this page was spared because it was slow, so far. */
  skipped: number
}

export type FromServer = Hello | News

/** What came of an order. */
export interface CommandOutcome {
  done: boolean
  detail: string
}
