import type { Student } from '@kestrel/models'
import { silentLog } from '@kestrel/runtime'
import type { Scalar, Tensor, Variable } from '@tensorflow/tfjs-core'
import { checkBatch } from '../check-batch.js'
import type { Batch, EngineOptions, Gradients, TrainingEngine } from '../engine.js'
import { pixelWeights } from '../loss/targets.js'
import { Interpreter } from './interpreter.js'
import { crossEntropy } from './loss.js'
import { loadTensorFlow, type TensorFlow } from './tensorflow.js'

/** Images that go through the graph at once unless told otherwise, as in the ONNX engine; batch statistics take them all. */
const MICRO_BATCH = 1

/**
 * An engine that interprets the student in TensorFlow.js and leaves the gradients to it (DESIGN.md section 4): the oracle of the
 * tests, and an option. `provider` and `threads` are TensorFlow.js' own business.
 *
 * @throws UserError where the student holds an operator that is not known
 */
export async function createTfjsEngine(
  student: Student,
  options: EngineOptions = {},
): Promise<TrainingEngine> {
  const { log = silentLog } = options
  return new TfjsEngine(student, options, await loadTensorFlow({ log }))
}

class TfjsEngine implements TrainingEngine {
  readonly name = 'tfjs'
  readonly provider: string
  readonly #student: Student
  readonly #tf: TensorFlow['tf']
  readonly #interpreter: Interpreter
  readonly #variables: Map<string, Variable>
  readonly #micro: number | undefined
  readonly #batchNorm: 'frozen' | 'batch'
  readonly #gradient: Float32Array
  /** Of the call under way: means over its micro-batches, weighted by their share of the images. */
  #statistics = new Map<string, Float32Array>()
  #share = 1

  constructor(student: Student, options: EngineOptions, { tf, provider }: TensorFlow) {
    const { batchNorm = 'frozen' } = options
    this.provider = provider
    this.#student = student
    this.#tf = tf
    // A student that was exported for one image is run on one image.
    const usual = batchNorm === 'batch' ? undefined : MICRO_BATCH
    this.#micro = student.input.batch === 'dynamic' ? (options.microBatch ?? usual) : student.input.batch
    this.#batchNorm = batchNorm
    this.#gradient = new Float32Array(student.parameterCount)
    this.#interpreter = new Interpreter(student, {
      tf,
      batchNorm,
      observe: (...seen) => this.#observe(...seen),
    })
    this.#variables = new Map(
      student.parameters.map(({ name, dims }) => [name, tf.tidy(() => tf.variable(tf.zeros(dims)))]),
    )
  }

  async lossAndGradient(batch: Batch, parameters: Float32Array): Promise<Gradients> {
    checkBatch(this.#student, batch, parameters)
    const omega = pixelWeights(batch.labels, this.#student.output.classes, batch.classWeights)
    this.#assign(parameters)
    this.#statistics = new Map()
    const gradient = this.#gradient.fill(0)
    let loss = 0
    const micro = Math.max(1, this.#micro ?? batch.size)
    for (let from = 0; from < batch.size; from += micro) {
      const to = Math.min(from + micro, batch.size)
      this.#share = (to - from) / batch.size
      loss += this.#part(batch, from, to, omega)
    }
    return this.#batchNorm === 'frozen'
      ? { loss, gradient }
      : { loss, gradient, batchStatistics: this.#statistics }
  }

  async dispose(): Promise<void> {
    this.#interpreter.dispose()
    for (const variable of this.#variables.values()) variable.dispose()
    this.#variables.clear()
  }

  /** Adds the gradient of the images from..to, and returns their part of the loss. */
  #part(batch: Batch, from: number, to: number, omega: Float64Array): number {
    const tf = this.#tf
    const { height, width } = this.#student.input
    const { labelHeight, labelWidth } = batch
    const pixels = 3 * height * width
    const plane = labelHeight * labelWidth
    const labels = batch.labels.subarray(from * plane, to * plane)
    return tf.tidy(() => {
      const bytes = batch.images.subarray(from * pixels, to * pixels)
      const image = tf.tensor4d(Float32Array.from(bytes), [to - from, 3, height, width])
      const loss = (): Scalar => {
        const logits = this.#interpreter.logits(image, this.#variables as Map<string, Tensor>)
        return crossEntropy(tf, logits, labels, { labelHeight, labelWidth, omega })
      }
      const { value, grads } = tf.variableGrads(loss, [...this.#variables.values()])
      this.#add(grads)
      return value.dataSync()[0]
    })
  }

  #add(grads: Record<string, Tensor>): void {
    const total = this.#gradient
    for (const { name, offset } of this.#student.parameters) {
      // None where the loss does not depend on the parameter.
      const part = grads[this.#variables.get(name)!.name]?.dataSync() ?? []
      for (let i = 0; i < part.length; i++) total[offset + i] += part[i]
    }
  }

  #assign(parameters: Float32Array): void {
    const tf = this.#tf
    for (const { name, dims, offset, count } of this.#student.parameters) {
      const values = parameters.slice(offset, offset + count)
      tf.tidy(() => this.#variables.get(name)!.assign(tf.tensor(values, dims)))
    }
  }

  #observe(name: string, statistic: Tensor): void {
    const mean = this.#statistics.get(name) ?? new Float32Array(statistic.size)
    for (const [i, value] of statistic.dataSync().entries()) mean[i] += this.#share * value
    this.#statistics.set(name, mean)
  }
}
