import type { Teacher, TrainingEngine } from '@kestrel/ground-station'
import type { Student } from '@kestrel/models'
import type { Log, VirtualClock } from '@kestrel/runtime'
import type { Settings } from '../settings.js'

/** What every scheme of one run has in common. */
export interface SchemeContext {
  student: Student
  /** Size of the truth, and so of the labels that a scheme shows, pixels. */
  size: { width: number; height: number }
  camera: { width: number; height: number; fps: number }
  /** Length of the video, s: the time between its first and last frame and one frame more. */
  durationS: number
  teacher: Teacher
  /** The engine that computes gradients, made when first asked for; it keeps no state between calls, so all schemes share it. */
  engine: () => Promise<TrainingEngine>
  clock: VirtualClock
  settings: Settings
  seed: number
  /** What the ground sends takes effect on the drone so many seconds later. */
  delayS: number
  threads: number
  log: Log
}
