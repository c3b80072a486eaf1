import { join } from 'node:path'
import { logSize } from '@kestrel/flight-log'
import { decodeEnvelope } from '@kestrel/link'
import { readStudentFile, resizeLabels, type Student } from '@kestrel/models'
import { type Log, messageOf, RealClock, UserError } from '@kestrel/runtime'
import { GroundSession } from '../session/ground-session.js'
import type { SeenFrame } from '../session/intake.js'
import type { LabelledFrame } from '../session/replay-buffer.js'
import { SavedFrames } from '../session/saved-frames.js'
import { loadState, type SessionState, saveState } from '../session/state.js'
import { openTeacher } from '../teacher/open.js'
import type { Teacher } from '../teacher/teacher.js'
import { createEngine } from '../training/create-engine.js'
import type { TrainingEngine } from '../training/engine.js'
import type { GroundConfig } from './config.js'
import type { Job, JobResult, Learner, TaughtFrame } from './learner.js'
import { type LiveView, LiveViewer } from './live-view.js'

/** The learner itself. It computes on the thread that calls it: see learner-thread.ts. */
export class SessionLearner implements Learner {
  readonly student: Student
  readonly #config: GroundConfig
  readonly #teacher: Teacher
  readonly #engine: TrainingEngine
  readonly #log: Log
  readonly #clock = new RealClock()
  readonly #shouldStop: () => boolean
  readonly #sessions = new Map<string, GroundSession>()
  readonly #savedFrames = new Map<string, SavedFrames>()
  readonly #viewers = new Map<string, LiveViewer>()

  private constructor(options: {
    config: GroundConfig
    student: Student
    teacher: Teacher
    engine: TrainingEngine
    log: Log
    shouldStop: () => boolean
  }) {
    this.#config = options.config
    this.student = options.student
    this.#teacher = options.teacher
    this.#engine = options.engine
    this.#log = options.log
    this.#shouldStop = options.shouldStop
  }

  /**
   * Loads student, teacher and training engine.
   *
   * @param options.shouldStop asked between training iterations: true ends a phase early
   * @throws UserError that names the file or setting that cannot be used
   */
  static async create(options: {
    config: GroundConfig
    log: Log
    shouldStop?: () => boolean
  }): Promise<SessionLearner> {
    const { config, log, shouldStop = () => false } = options
    const student = readStudentFile(config.student)
    const { threads } = config.training
    const teacher = await openTeacher(config.teacher, { studentClasses: student.classes, threads, log })
    const engine = await createEngine(student, { ...config.training, log })
    return new SessionLearner({ config, student, teacher, engine, log, shouldStop })
  }

  async run(job: Job): Promise<JobResult> {
    const session = this.#session(job.drone)
    switch (job.kind) {
      case 'report':
        return this.#result(session, { update: session.reconcile(job.report) })
      case 'answer':
        return this.#result(session, { update: session.acknowledge(job.answer) })
      case 'reject': {
        if (!session.reject())
          throw new UserError('it flies the student as shipped: there is nothing to go back to')
        this.#save(job.drone, session)
        return this.#result(session, {})
      }
      case 'segment': {
        const { payload } = decodeEnvelope(job.message)
        if (payload.case !== 'segment') throw new Error(`A ${payload.case} message came as a segment`)
        const { frames, seen } = await session.addSegment(payload.value)
        this.#saveFrames(job.drone, seen)
        const view = await this.#look(job.drone, session, seen)
        return this.#result(session, { frames, view, taught: this.#taught(seen) })
      }
      case 'phase': {
        const { update, ...phase } = await session.runPhase({ shouldStop: this.#shouldStop })
        this.#save(job.drone, session)
        return this.#result(session, { update, phase })
      }
    }
  }

  async close(): Promise<void> {
    for (const [drone, session] of this.#sessions) this.#save(drone, session)
    this.#sessions.clear()
    for (const viewer of this.#viewers.values()) await viewer.release()
    this.#viewers.clear()
    await this.#teacher.release()
    await this.#engine.dispose()
  }

  /** Never fails: a flight goes on where nobody can look at it. */
  async #look(
    drone: string,
    session: GroundSession,
    seen: readonly SeenFrame[],
  ): Promise<LiveView | undefined> {
    let viewer = this.#viewers.get(drone)
    if (viewer === undefined) {
      const { scores, training } = this.#config
      viewer = new LiveViewer({ student: this.student, threads: training.threads, ...scores })
      this.#viewers.set(drone, viewer)
    }
    try {
      return await viewer.look(seen, session.flown)
    } catch (error) {
      this.#log.warn(`${drone}: its frames cannot be looked at: ${messageOf(error)}`)
      return undefined
    }
  }

  #taught(seen: SeenFrame[]): TaughtFrame[] | undefined {
    if (!this.#config.logs.enabled) return undefined
    return seen.map(({ captureMs, labels }) => {
      const { width, height } = logSize(labels)
      return { captureMs, labels: resizeLabels(labels, width, height) }
    })
  }

  #result(session: GroundSession, result: Partial<JobResult>): JobResult {
    const { newFrames, samplingFps, updatePeriodS, rejectDigest } = session
    return { ...result, newFrames, samplingFps, updatePeriodS, rejectDigest }
  }

  #session(drone: string): GroundSession {
    const open = this.#sessions.get(drone)
    if (open !== undefined) return open
    const log = this.#log.child(drone)
    const state = this.#load(drone, log)
    const frames = state && this.#loadFrames(drone, log)
    const { ams, training } = this.#config
    const session = new GroundSession({
      student: this.student,
      engine: this.#engine,
      teacher: this.#teacher,
      clock: this.#clock,
      options: { ...ams, seed: `${ams.seed}/${drone}` },
      state,
      frames,
      threads: training.threads,
      log,
    })
    if (state !== undefined)
      log.info(
        `Training resumes after phase ${state.phase}, version ${session.flown.version}, with ${frames?.length} labelled frames`,
      )
    this.#sessions.set(drone, session)
    return session
  }

  #load(drone: string, log: Log): SessionState | undefined {
    try {
      return loadState(this.#file(drone))
    } catch (error) {
      log.error(
        `${messageOf(error)}. Training starts again from the student as shipped, and the drone is brought to it`,
      )
      return undefined
    }
  }

  #save(drone: string, session: GroundSession): void {
    try {
      saveState(this.#file(drone), session.state())
    } catch (error) {
      this.#log.error(`The training state of ${drone} cannot be saved: ${messageOf(error)}`)
    }
  }

  /** Those of an earlier process that the session goes on with. */
  #loadFrames(drone: string, log: Log): LabelledFrame[] {
    const { width, height } = this.student.input
    try {
      return this.#framesOf(drone).load({
        imageBytes: 3 * width * height,
        onDamaged: why => log.warn(`Labelled frames of before are left out: ${why}`),
      })
    } catch (error) {
      log.warn(`The labelled frames of before cannot be read: ${messageOf(error)}`)
      return []
    }
  }

  #saveFrames(drone: string, seen: readonly SeenFrame[]): void {
    try {
      const frames = seen.map(({ captureMs, planar, labels }) => ({
        timeMs: captureMs,
        image: planar,
        labels,
      }))
      this.#framesOf(drone).add(frames)
    } catch (error) {
      this.#log.error(`The labelled frames of ${drone} cannot be saved: ${messageOf(error)}`)
    }
  }

  #framesOf(drone: string): SavedFrames {
    const known =
      this.#savedFrames.get(drone) ?? new SavedFrames(join(this.#config.stateDir, `${drone}.frames`))
    this.#savedFrames.set(drone, known)
    return known
  }

  #file(drone: string): string {
    return join(this.#config.stateDir, `${drone}.session`)
  }
}
