import type { LabelMap, RgbImage, Student } from '@kestrel/models'
import { type CanaryVerdict, judge, RecentFrames, tryFrames } from './canary.js'
import type { Labeller, StudentHost } from './host.js'
import { StudentSession } from './student-session.js'

/** A student on the calling thread: for evaluation on a virtual clock, and tests. */
export class InProcessHost implements StudentHost, Labeller {
  readonly #student: Student
  readonly #threads: number
  readonly #recent: RecentFrames
  #active: StudentSession
  #standby: StudentSession | undefined

  private constructor(student: Student, active: StudentSession, threads: number) {
    this.#student = student
    this.#threads = threads
    this.#active = active
    this.#recent = new RecentFrames(student.input.width, student.input.height)
  }

  /** @param bytes the model to begin with; the student's own unless given */
  static async create(
    student: Student,
    bytes: Uint8Array = student.bytes,
    options: { threads?: number } = {},
  ): Promise<InProcessHost> {
    const { threads = 0 } = options
    return new InProcessHost(student, await StudentSession.create(student, bytes, { threads }), threads)
  }

  async label(image: RgbImage): Promise<LabelMap> {
    const labels = await this.#active.label(image)
    this.#recent.offer(image, labels.data)
    return labels
  }

  async load(bytes: Uint8Array): Promise<void> {
    await this.#standby?.release()
    this.#standby = undefined
    this.#standby = await StudentSession.create(this.#student, bytes, { threads: this.#threads })
  }

  async canary(): Promise<CanaryVerdict> {
    if (this.#standby === undefined) throw new Error('no model is loaded in standby')
    return judge(await tryFrames(this.#standby, this.#recent.frames), this.#recent.classes)
  }

  async swap(): Promise<void> {
    if (this.#standby === undefined) throw new Error('no model is loaded in standby')
    const retired = this.#active
    this.#active = this.#standby
    this.#standby = undefined
    await retired.release()
  }

  async release(): Promise<void> {
    await this.#standby?.release()
    this.#standby = undefined
    await this.#active.release()
  }
}
