import type { CommandResult, Status, Telemetry, UpdateResult, What } from '@kestrel/link'
import type { PhaseReport } from '../session/report.js'
import type { TaughtFrame } from './learner.js'
import type { LiveView } from './live-view.js'

/** What an event is about, and how much it matters. */
export interface GroundEvent {
  /** Unix time, ms, of the ground's clock. */
  timeMs: number
  severity: 'info' | 'warning' | 'error'
  /** For programs: what kind it is. */
  type:
    | 'online'
    | 'offline'
    | 'refused'
    | 'update-applied'
    | 'update-refused'
    | 'rolled-back'
    | 'behind'
    | 'failure'
    | 'command'
    | 'vehicle'
    | 'flight'
  /** For people: a sentence without the drone's name. */
  text: string
}

/** A message as it crossed the link: the whole envelope. The bytes are not to be changed, nor kept beyond need. */
export interface CrossedMessage {
  /** Unix time, ms, when it came or was handed to the link. */
  timeMs: number
  /** `up`: drone → ground. */
  direction: 'up' | 'down'
  what: What
  bytes: Uint8Array
}

/** What a phase did, as its report says, and how large the update was that it sent. */
export interface PhaseNews extends Omit<PhaseReport, 'update'> {
  timeMs: number
  update?: { version: number; baseVersion: number; weights: number; bytes: number }
}

/** A line of the ground station's log. */
export interface LogLine {
  timeMs: number
  level: 'debug' | 'info' | 'warn' | 'error'
  /** Such as `ground/link`. */
  part: string
  message: string
}

export type { TaughtFrame }

/**
 * Looks on while the ground station works: the dashboard and the flight log. Each call is made on the main thread, in the order in which
 * things happen; it must return soon and not throw (what it throws is logged). All are optional.
 */
export interface GroundObserver {
  /** Any status, also of a drone that is left aside; `refusal` says why it is. */
  status?(drone: string, status: Status, refusal: string | undefined): void
  telemetry?(drone: string, telemetry: Telemetry): void
  /** Every message, both ways, before it is handled. Repeats that QoS 1 brings are left out. */
  message?(drone: string, message: CrossedMessage): void
  phase?(drone: string, phase: PhaseNews): void
  /** How the flown weights and the shipped ones label what a segment brought, beside the teacher. */
  view?(drone: string, view: LiveView): void
  /** The teacher's labels of the frames of a segment. */
  taught?(drone: string, frames: TaughtFrame[]): void
  updateResult?(drone: string, result: UpdateResult): void
  commandResult?(drone: string, result: CommandResult): void
  event?(drone: string, event: GroundEvent): void
  /** What the ground station logs; about no drone in particular. */
  line?(line: LogLine): void
}
