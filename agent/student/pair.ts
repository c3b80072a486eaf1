import type { LabelMap, RgbImage, Student } from '@kestrel/models'
import { type CanaryVerdict, judge, RecentFrames } from './canary.js'
import type { Labeller, StudentHost } from './host.js'
import { unstarved } from './thread-priority.js'
import { WorkerClient } from './worker-client.js'

/**
 * The two student threads of a drone (DESIGN.md section 5): the active one labels frames, the standby loads, warms and
 * tries new weights at low priority, and then they change roles between two frames.
 *
 * Frames are copied once into shared memory and labels come back in shared memory; a futex wakes the other side.
 */
export class StudentPair implements StudentHost, Labeller {
  readonly #student: Student
  readonly #threads: number
  readonly #frame: Uint8Array
  readonly #labels: LabelMap
  readonly #recent: RecentFrames
  #active: WorkerClient
  #standby: WorkerClient
  #busy = false

  private constructor(student: Student, threads: number) {
    const { width, height } = student.input
    this.#student = student
    this.#threads = threads
    this.#frame = new Uint8Array(new SharedArrayBuffer(3 * width * height))
    this.#labels = { width, height, data: new Uint8Array(new SharedArrayBuffer(width * height)) }
    this.#recent = new RecentFrames(width, height)
    this.#active = this.#startWorker()
    this.#standby = this.#startWorker()
  }

  /**
   * @param bytes the model to begin with
   * @param options.threads intra-operator threads of the active student, 0 = one for each physical core
   * @throws UserError where ONNX Runtime refuses the model
   */
  static async create(
    student: Student,
    bytes: Uint8Array,
    options: { threads?: number } = {},
  ): Promise<StudentPair> {
    const { threads = 0 } = options
    const pair = new StudentPair(student, threads)
    try {
      await pair.#active.request({ kind: 'load', bytes, quiet: false })
      await pair.#active.request({ kind: 'activate' })
    } catch (error) {
      await pair.stop()
      throw error
    }
    return pair
  }

  /**
   * The labels of one image at the student's size; they lie in shared memory until the next call.
   *
   * @throws Error when the call before has not ended
   */
  async label(image: RgbImage): Promise<LabelMap> {
    if (this.#busy) throw new Error('a frame is being labelled already')
    this.#busy = true
    try {
      this.#frame.set(image.data)
      await this.#active.label()
    } finally {
      this.#busy = false
    }
    this.#recent.offer(image, this.#labels.data)
    return this.#labels
  }

  async load(bytes: Uint8Array): Promise<void> {
    // A standby that failed is nobody's loss; the next update gets a fresh thread.
    if (this.#standby.gone) this.#standby = this.#startWorker()
    await unstarved(this.#standby.request({ kind: 'load', bytes, quiet: true }, ownBuffer(bytes)))
  }

  async canary(): Promise<CanaryVerdict> {
    const before = this.#recent.classes
    this.#recent.held = true
    try {
      return judge(await unstarved(this.#standby.request({ kind: 'try', frames: before.length })), before)
    } finally {
      this.#recent.held = false
    }
  }

  async swap(): Promise<void> {
    await this.#standby.request({ kind: 'activate' })
    const retired = this.#active
    this.#active = this.#standby
    this.#standby = retired
    // A frame still in flight there comes first; nobody waits for the rest.
    retired.request({ kind: 'retire' }).catch(() => undefined)
  }

  async stop(): Promise<void> {
    await Promise.all([this.#active.stop(), this.#standby.stop()])
  }

  #startWorker(): WorkerClient {
    const { bytes, source, classes, palette } = this.#student
    return new WorkerClient({
      bytes,
      source,
      classes: { classes, palette },
      threads: this.#threads,
      frame: this.#frame.buffer as SharedArrayBuffer,
      labels: this.#labels.data.buffer as SharedArrayBuffer,
      recent: this.#recent.buffer,
    })
  }
}

/** The buffer of a view that has it to itself, to be moved instead of copied. */
function ownBuffer(bytes: Uint8Array): ArrayBuffer[] {
  const { buffer } = bytes
  return buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength ? [buffer] : []
}
