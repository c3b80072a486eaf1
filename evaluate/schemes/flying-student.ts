import { type Frame, InProcessHost, type StudentHost } from '@kestrel/agent'
import { Scaler } from '@kestrel/link'
import { type LabelMap, resizeLabels, type Student } from '@kestrel/models'

/**
 * The student as the drone flies it, on the calling thread: scaled camera frames in, labels out, and a standby for new
 * weights. (The agent keeps both in worker threads so that the camera never waits; on a virtual clock there is nobody to wait.)
 */
export class FlyingStudent {
  /** Where updates go. */
  readonly host: StudentHost
  readonly #host: InProcessHost
  readonly #input: Student['input']
  readonly #size: { width: number; height: number }
  readonly #scaler = new Scaler()

  private constructor(host: InProcessHost, input: Student['input'], size: { width: number; height: number }) {
    this.host = host
    this.#host = host
    this.#input = input
    this.#size = size
  }

  /** @param options.size of the label maps, pixels */
  static async create(
    student: Student,
    options: { size: { width: number; height: number }; threads?: number },
  ): Promise<FlyingStudent> {
    const { size, threads } = options
    const host = await InProcessHost.create(student, student.bytes, { threads })
    return new FlyingStudent(host, student.input, size)
  }

  /** Labels of a camera frame, brought from the student's size to that of the truth. */
  async label(frame: Frame): Promise<LabelMap> {
    const { width, height } = this.#input
    const labels = await this.#host.label(this.#scaler.scale(frame.image, width, height))
    return resizeLabels(labels, this.#size.width, this.#size.height)
  }

  async dispose(): Promise<void> {
    await this.#host.release()
    this.#scaler.dispose()
  }
}
