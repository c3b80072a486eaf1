import { argmaxUpsampled, type LabelMap, type RgbImage, type Student } from '@kestrel/models'
import { messageOf, UserError } from '@kestrel/runtime/errors'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'

/** Class scores [C,height,width]. */
export interface Logits {
  data: Float32Array
  height: number
  width: number
}

/**
 * A student in flight, on the calling thread: made for one picture after another with nothing to spare. Packed RGB goes
 * straight into the input tensor, and labels straight into the memory that the caller names.
 */
export class StudentSession {
  readonly #student: Student
  readonly #session: InferenceSession
  readonly #Tensor: typeof OrtTensor
  readonly #input: Float32Array

  private constructor(student: Student, session: InferenceSession, Tensor: typeof OrtTensor) {
    this.#student = student
    this.#session = session
    this.#Tensor = Tensor
    this.#input = new Float32Array(3 * student.input.width * student.input.height)
  }

  /**
   * Loads a model and warms it up with one run, since the first one takes about twice as long.
   *
   * @param bytes the model, patched or as shipped
   * @param options.threads intra-operator threads, 0 = one for each physical core
   * @throws UserError where ONNX Runtime refuses the model; its own error where memory ran out
   */
  static async create(
    student: Student,
    bytes: Uint8Array,
    options: { threads?: number } = {},
  ): Promise<StudentSession> {
    const { threads = 0 } = options
    // Loaded on first use: those who fly no student here need not wait for the native library.
    const { default: ort } = await import('onnxruntime-node')
    let session: InferenceSession | undefined
    try {
      session = await ort.InferenceSession.create(bytes, {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
        // Threads of the pool wait for work by spinning, which is what makes a run fast; left to themselves they spin on
        // between frames, and take a whole core from camera and standby (measured: 1.1 cores instead of 0.2, the same latency).
        extra: { session: { force_spinning_stop: '1' } },
      })
      const created = new StudentSession(student, session, ort.Tensor)
      await created.#run()
      return created
    } catch (cause) {
      await session?.release()
      // Nobody's mistake: the next start may find the memory, so this must not end the restarts as a mistake does.
      if (/alloc/i.test(messageOf(cause))) throw cause
      throw new UserError(`ONNX Runtime cannot run ${student.source}: ${messageOf(cause)}`, { cause })
    }
  }

  /** @param image at the student's size */
  async logits(image: RgbImage): Promise<Logits> {
    const { width, height } = this.#student.input
    if (image.width !== width || image.height !== height) {
      throw new RangeError(
        `The student takes ${width}x${height} images; found ${image.width}x${image.height}`,
      )
    }
    toPlanes(image.data, this.#input)
    return this.#run()
  }

  /**
   * The class of each pixel, at the student's size.
   *
   * @param out receives the labels, [H,W]
   */
  async label(image: RgbImage, out?: Uint8Array): Promise<LabelMap> {
    const { width, height } = image
    const logits = await this.logits(image)
    const { classes } = this.#student.output
    const data = argmaxUpsampled(logits.data, classes, logits.height, logits.width, height, width, out)
    return { width, height, data }
  }

  async release(): Promise<void> {
    await this.#session.release()
  }

  async #run(): Promise<Logits> {
    const { input, output } = this.#student
    const image = new this.#Tensor('float32', this.#input, [1, 3, input.height, input.width])
    const { [output.name]: logits } = await this.#session.run({ [input.name]: image }, [output.name])
    const [, , height, width] = logits.dims
    return { data: logits.data as Float32Array, height, width }
  }
}

/** Packed bytes to planes of floats, [3,H,W], in one pass. */
function toPlanes(data: Uint8Array, planes: Float32Array): void {
  const plane = planes.length / 3
  for (let i = 0, at = 0; i < plane; i++, at += 3) {
    planes[i] = data[at]
    planes[i + plane] = data[at + 1]
    planes[i + 2 * plane] = data[at + 2]
  }
}
