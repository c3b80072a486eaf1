import type { Student } from '@kestrel/models'
import { messageOf, silentLog, UserError } from '@kestrel/runtime'
import { checkBatch } from './check-batch.js'
import type { Batch, EngineOptions, Gradients, TrainingEngine } from './engine.js'
import { analyse } from './graph/training-graph.js'
import { pixelWeights } from './loss/targets.js'
import { chooseProvider, dialectOf, type Provider } from './provider.js'
import { createStep, type Step, type StepOptions } from './step.js'

/**
 * Images that go through the graph at once unless told otherwise. On a CPU one image's activations stay near its
 * caches, and memory stays low; a GPU wants more to do at once.
 */
const MICRO_BATCH: Record<Provider, number> = { cpu: 1, cuda: 4, webgpu: 4 }

/** Training graphs that are kept: one a micro-batch and label size. More than a few at once is no use that we know. */
const MAX_STEPS = 2

/**
 * An engine that computes gradients in ONNX Runtime (DESIGN.md section 4). It computes on the calling thread while a call
 * is under way: use it in a worker.
 *
 * @throws UserError where the student cannot be trained
 */
export async function createOnnxEngine(
  student: Student,
  options: EngineOptions = {},
): Promise<TrainingEngine> {
  const { provider: requested = 'cpu', log = silentLog, threads = 0, batchNorm = 'frozen' } = options
  const { microBatch = 1 } = options
  if (!(Number.isInteger(microBatch) && microBatch >= 1)) {
    throw new UserError(`microBatch is ${microBatch}; expected a whole number of images, 1 or more`)
  }
  analyse(student, batchNorm)
  const provider = await chooseProvider(requested, log)
  const dialect = await dialectOf(provider)
  return new OnnxEngine(student, options, { provider, dialect, threads, batchNorm })
}

class OnnxEngine implements TrainingEngine {
  readonly name = 'onnx'
  readonly provider: string
  readonly #student: Student
  readonly #options: EngineOptions
  readonly #stepOptions: StepOptions
  /** The step that was used last comes last. */
  readonly #steps = new Map<string, Step>()
  readonly #gradient: Float32Array
  #microBatch: number | undefined

  constructor(student: Student, options: EngineOptions, stepOptions: StepOptions) {
    this.#student = student
    this.#options = options
    this.#stepOptions = stepOptions
    this.provider = stepOptions.provider
    this.#gradient = new Float32Array(student.parameterCount)
    this.#microBatch = options.microBatch
  }

  async lossAndGradient(batch: Batch, parameters: Float32Array): Promise<Gradients> {
    checkBatch(this.#student, batch, parameters)
    const omega = pixelWeights(batch.labels, this.#student.output.classes, batch.classWeights)
    const gradient = this.#gradient.fill(0)
    const statistics = new Map<string, Float32Array>()
    let loss = 0
    for (let from = 0, count = 0; from < batch.size; from += count) {
      const step = await this.#stepFor(batch, batch.size - from)
      count = step.batch
      loss += await step.run({
        batch,
        from,
        omega,
        parameters,
        gradient,
        statistics,
        share: count / batch.size,
      })
    }
    const batchStatistics = this.#options.batchNorm === 'batch' ? statistics : undefined
    return { loss, gradient, ...(batchStatistics && { batchStatistics }) }
  }

  dispose(): Promise<void> {
    return this.#release(0)
  }

  /** A step for the next images, of which `left` are left; made where there is none yet. */
  async #stepFor(batch: Batch, left: number): Promise<Step> {
    const { labelHeight, labelWidth, size } = batch
    const { batchNorm, provider } = this.#stepOptions
    const micro = Math.min(this.#microBatch ?? (batchNorm === 'batch' ? size : MICRO_BATCH[provider]), left)
    const key = `${micro} ${labelHeight} ${labelWidth}`
    let step = this.#steps.get(key)
    this.#steps.delete(key)
    if (step === undefined) {
      await this.#release(MAX_STEPS - 1)
      try {
        step = await createStep(this.#student, {
          ...this.#stepOptions,
          batch: micro,
          labelHeight,
          labelWidth,
        })
      } catch (error) {
        if (!(error instanceof UserError) || micro === 1) throw error
        // Exported for one image, with that written into its shapes.
        const { log = silentLog } = this.#options
        log.info(`The student takes one image at a time, so batches go one by one (${messageOf(error)})`)
        this.#microBatch = 1
        return this.#stepFor(batch, left)
      }
    }
    this.#steps.set(key, step)
    return step
  }

  /** Gives back the memory of all but the last `kept` steps. */
  async #release(kept: number): Promise<void> {
    for (const [key, step] of this.#steps) {
      if (this.#steps.size <= kept) return
      this.#steps.delete(key)
      await step.release()
    }
  }
}
