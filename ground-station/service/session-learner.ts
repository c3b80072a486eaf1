import { logSize } from '@kestrel/flight-log'
import { decodeEnvelope } from '@kestrel/link'
import { readStudentFile, resizeLabels, type Student } from '@kestrel/models'
import { type Log, messageOf, RealClock, UserError } from '@kestrel/runtime'
import { NatsStore } from '../cluster/nats-store.js'
import { GroundSession } from '../session/ground-session.js'
import type { SeenFrame } from '../session/intake.js'
import { SavedSession } from '../session/saved-session.js'
import { FileStore, type Store } from '../session/store.js'
import { openTeacher } from '../teacher/open.js'
import type { Teacher } from '../teacher/teacher.js'
import { createEngine } from '../training/create-engine.js'
import type { TrainingEngine } from '../training/engine.js'
import type { GroundConfig } from './config.js'
import type { Job, JobResult, Learner, TaughtFrame } from './learner.js'
import { type LiveView, LiveViewer } from './live-view.js'

/** A session in memory, and what the store has of it. */
interface OpenSession {
  session: GroundSession
  saved: SavedSession
  term: number | undefined
}

/** The learner itself. It computes on the thread that calls it: see learner-thread.ts. */
export class SessionLearner implements Learner {
  readonly student: Student
  readonly #config: GroundConfig
  readonly #teacher: Teacher
  readonly #engine: TrainingEngine
  readonly #log: Log
  readonly #clock = new RealClock()
  readonly #shouldStop: () => boolean
  readonly #store: Store
  readonly #sessions = new Map<string, OpenSession>()
  readonly #viewers = new Map<string, LiveViewer>()

  private constructor(options: {
    config: GroundConfig
    student: Student
    teacher: Teacher
    engine: TrainingEngine
    store: Store
    log: Log
    shouldStop: () => boolean
  }) {
    this.#config = options.config
    this.#store = options.store
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
    const store = config.cluster ? new NatsStore(config.cluster) : new FileStore(config.stateDir)
    return new SessionLearner({ config, student, teacher, engine, store, log, shouldStop })
  }

  async run(job: Job): Promise<JobResult> {
    if (job.kind === 'forget') return this.#forget(job.drone)
    const open = await this.#open(job)
    const { session, saved } = open
    switch (job.kind) {
      case 'report':
        return this.#result(session, { update: session.reconcile(job.report) })
      case 'answer':
        return this.#result(session, { update: session.acknowledge(job.answer) })
      case 'reject': {
        if (!session.reject())
          throw new UserError('it flies the student as shipped: there is nothing to go back to')
        await this.#save(job.drone, open)
        return this.#result(session, {})
      }
      case 'segment': {
        const { payload } = decodeEnvelope(job.message)
        if (payload.case !== 'segment') throw new Error(`A ${payload.case} message came as a segment`)
        const { frames, seen } = await session.addSegment(payload.value)
        await this.#saveFrames(job.drone, saved, seen)
        const view = await this.#look(job.drone, session, seen)
        return this.#result(session, { frames, view, taught: this.#taught(seen) })
      }
      case 'phase': {
        const { update, ...phase } = await session.runPhase({ shouldStop: this.#shouldStop })
        const isSaved = await this.#save(job.drone, open)
        // In a cluster another may have to go on from there: what it would not know must not fly.
        const isKnown = isSaved || open.term === undefined
        return this.#result(session, { update: isKnown ? update : undefined, phase })
      }
    }
  }

  async close(): Promise<void> {
    for (const [drone, open] of this.#sessions) await this.#save(drone, open)
    this.#sessions.clear()
    await this.#store.close()
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

  async #forget(drone: string): Promise<JobResult> {
    const open = this.#sessions.get(drone)
    if (open !== undefined) await this.#save(drone, open)
    this.#sessions.delete(drone)
    await this.#viewers.get(drone)?.release()
    this.#viewers.delete(drone)
    return { newFrames: 0, samplingFps: 0, updatePeriodS: 0 }
  }

  /** @throws Error where the store does not answer: what it has is not known then */
  async #open({ drone, term }: Job): Promise<OpenSession> {
    const known = this.#sessions.get(drone)
    if (known !== undefined && known.term === term) return known
    const log = this.#log.child(drone)
    const saved = new SavedSession(this.#store, { drone, term, log })
    const state = await saved.load()
    const { width, height } = this.student.input
    const frames = state && (await saved.loadFrames(3 * width * height))
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
    const open = { session, saved, term }
    this.#sessions.set(drone, open)
    return open
  }

  /** @returns whether it is kept */
  async #save(drone: string, { session, saved }: OpenSession): Promise<boolean> {
    try {
      await saved.save(session.state())
      return true
    } catch (error) {
      this.#log.error(`The training state of ${drone} cannot be saved: ${messageOf(error)}`)
      return false
    }
  }

  async #saveFrames(drone: string, saved: SavedSession, seen: readonly SeenFrame[]): Promise<void> {
    try {
      await saved.addFrames(
        seen.map(({ captureMs, planar, labels }) => ({ timeMs: captureMs, image: planar, labels })),
      )
    } catch (error) {
      this.#log.error(`The labelled frames of ${drone} cannot be saved: ${messageOf(error)}`)
    }
  }
}
