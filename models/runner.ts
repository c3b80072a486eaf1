import { messageOf, UserError } from '@kestrel/runtime/errors'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { type LabelMap, type RgbImage, toPlanar } from './image.js'
import type { Student } from './student.js'
import { argmaxUpsampled } from './upsample.js'

/**
 * Runs a student on ONNX Runtime's CPU provider. `create` and the runs are synchronous on the calling thread (only
 * their signature is not), so this belongs in a worker.
 */
export class StudentRunner {
  readonly input: Student['input']
  readonly #student: Student
  readonly #session: InferenceSession
  readonly #Tensor: typeof OrtTensor
  readonly #image: Float32Array
  readonly #planar: Uint8Array

  private constructor(student: Student, session: InferenceSession, Tensor: typeof OrtTensor) {
    this.input = student.input
    this.#student = student
    this.#session = session
    this.#Tensor = Tensor
    this.#image = new Float32Array(3 * student.input.width * student.input.height)
    this.#planar = new Uint8Array(this.#image.length)
  }

  /**
   * Loads a model and warms it up with one run, since the first one takes about twice as long.
   *
   * @param bytes the model, usually `withParameters(student, …)` or the student's own bytes
   * @param options.threads intra-operator threads; 0 leaves it to ONNX Runtime (all cores)
   * @throws UserError where ONNX Runtime refuses the model
   */
  static async create(
    student: Student,
    bytes: Uint8Array,
    options: { threads?: number } = {},
  ): Promise<StudentRunner> {
    const { threads = 0 } = options
    // Loaded on first use: those who only read models and updates need not wait for the native library.
    const { default: ort } = await import('onnxruntime-node')
    let session: InferenceSession
    try {
      session = await ort.InferenceSession.create(bytes, {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
      })
    } catch (cause) {
      throw new UserError(`ONNX Runtime cannot load ${student.source}: ${messageOf(cause)}`, { cause })
    }
    const runner = new StudentRunner(student, session, ort.Tensor)
    try {
      await runner.logits(runner.#planar)
    } catch (cause) {
      await session.release()
      throw new UserError(`ONNX Runtime cannot run ${student.source}: ${messageOf(cause)}`, { cause })
    }
    return runner
  }

  /**
   * The class scores [C,height,width] of one image.
   *
   * @param planar [3,H,W] bytes at the student's size
   */
  async logits(planar: Uint8Array): Promise<{ data: Float32Array; height: number; width: number }> {
    const { name, height, width } = this.input
    if (planar.length !== this.#image.length) {
      throw new RangeError(
        `The student takes ${width}x${height} images, 3 planes; found ${planar.length} bytes`,
      )
    }
    this.#image.set(planar)
    const image = new this.#Tensor('float32', this.#image, [1, 3, height, width])
    const { output } = this.#student
    const { [output.name]: logits } = await this.#session.run({ [name]: image }, [output.name])
    const [batch, classes, h, w] = logits.dims
    if (batch !== 1 || classes !== output.classes) {
      throw new UserError(
        `${this.#student.source}: the output "${output.name}" came as [${logits.dims}], expected [1,${output.classes},h,w]`,
      )
    }
    return { data: logits.data as Float32Array, height: h, width: w }
  }

  /**
   * The class of each pixel.
   *
   * @param image at the student's size
   * @param size of the label map; the student's input size if not given
   */
  async label(image: RgbImage, size: { width: number; height: number } = this.input): Promise<LabelMap> {
    if (image.width !== this.input.width || image.height !== this.input.height) {
      throw new RangeError(
        `The student takes ${this.input.width}x${this.input.height} images; found ${image.width}x${image.height}`,
      )
    }
    const { data, height, width } = await this.logits(toPlanar(image, this.#planar))
    return {
      width: size.width,
      height: size.height,
      data: argmaxUpsampled(data, this.#student.output.classes, height, width, size.height, size.width),
    }
  }

  async release(): Promise<void> {
    await this.#session.release()
  }
}
