import { type Student, writeOnnx } from '@kestrel/models'
import { messageOf, silentLog, UserError } from '@kestrel/runtime'
import type { Tensor } from 'onnxruntime-node'
import { checkBatch } from './check-batch.js'
import type { Batch, EngineOptions, Gradients, TrainingEngine } from './engine.js'
import type { Dialect } from './graph/emitter.js'
import { buildTrainingGraph, names, type TrainingGraph } from './graph/training-graph.js'
import { countLabelled, Targets } from './loss/targets.js'
import { openSession, type Session } from './session.js'

/** Images that go through the CPU graph at once unless told otherwise. */
const MICRO_BATCH = 1

export async function createOnnxEngine(student: Student, options: EngineOptions = {}): Promise<OnnxEngine> {
  const { provider = 'cpu', log = silentLog } = options
  const engine = new OnnxEngine(student, options, 'cpu')
  void provider
  void log
  return engine
}

/** A training graph in ONNX Runtime, with the memory that it reads and writes. */
interface Step {
  graph: TrainingGraph
  ort: Session
  targets: Targets
  feeds: Record<string, Tensor>
  fetches: Record<string, Tensor>
  images: Uint8Array
  target: Float32Array
  weight: Float32Array
  loss: Float32Array
}

/** Trains on ONNX Runtime (DESIGN.md section 4). */
export class OnnxEngine implements TrainingEngine {
  readonly name = 'onnx'
  readonly provider: string
  readonly #student: Student
  readonly #options: EngineOptions
  readonly #steps = new Map<string, Step>()
  readonly #total: Float32Array
  readonly #part: Float32Array

  constructor(student: Student, options: EngineOptions, provider: string) {
    this.#student = student
    this.#options = options
    this.provider = provider
    this.#total = new Float32Array(student.parameterCount)
    this.#part = new Float32Array(student.parameterCount)
  }

  async lossAndGradient(batch: Batch, parameters: Float32Array): Promise<Gradients> {
    const student = this.#student
    checkBatch(student, batch, parameters)
    const { height, width } = student.input
    const image = 3 * height * width
    const plane = batch.labelHeight * batch.labelWidth
    const labelled = countLabelled(batch.labels, student.output.classes)
    const norm = labelled === 0 ? 0 : 1 / labelled
    const micro = Math.min(this.#options.microBatch ?? MICRO_BATCH, batch.size)
    const gradient = this.#total.fill(0)
    let loss = 0
    for (let from = 0; from < batch.size; from += micro) {
      const count = Math.min(micro, batch.size - from)
      const step = await this.#step(count, batch.labelHeight, batch.labelWidth)
      step.images.set(batch.images.subarray(from * image, (from + count) * image))
      const logits = step.target.length / count
      for (let i = 0; i < count; i++) {
        const labels = batch.labels.subarray((from + i) * plane, (from + i + 1) * plane)
        step.targets.fill(
          labels,
          norm,
          step.target.subarray(i * logits, (i + 1) * logits),
          step.weight.subarray(i * plane, (i + 1) * plane),
        )
      }
      this.#bind(step, parameters)
      await step.ort.session.run(step.feeds, step.fetches)
      loss += step.loss[0]
      const part = this.#part
      for (const index of step.graph.trained) {
        const { offset, count: length } = student.parameters[index]
        for (let k = offset; k < offset + length; k++) gradient[k] += part[k]
      }
    }
    return { loss, gradient }
  }

  async dispose(): Promise<void> {
    for (const { ort } of this.#steps.values()) await ort.session.release()
    this.#steps.clear()
  }

  /** Parameters are fed as views into the vector: nothing is copied. */
  #bind(step: Step, parameters: Float32Array): void {
    for (const { name, dims, offset, count } of this.#student.parameters) {
      step.feeds[name] = new step.ort.Tensor('float32', parameters.subarray(offset, offset + count), dims)
    }
  }

  async #step(count: number, labelHeight: number, labelWidth: number): Promise<Step> {
    const key = `${count} ${labelHeight} ${labelWidth}`
    const known = this.#steps.get(key)
    if (known !== undefined) return known
    const made = await this.#makeStep(count, labelHeight, labelWidth)
    this.#steps.set(key, made)
    return made
  }

  async #makeStep(batch: number, labelHeight: number, labelWidth: number): Promise<Step> {
    const student = this.#student
    const { threads = 0, batchNorm = 'frozen' } = this.#options
    const dialect: Dialect = { fusedMatMul: true, block: 0 }
    const graph = await buildTrainingGraph(student, { batch, labelHeight, labelWidth, batchNorm, dialect })
    const sessionOptions = { intraOpNumThreads: threads }
    const ort = await openSession(writeOnnx(graph.model), sessionOptions).catch(cause => {
      throw new UserError(`ONNX Runtime cannot train ${student.source}: ${messageOf(cause)}`, { cause })
    })
    const [, classes, h, w] = graph.logits
    const { height, width } = student.input
    const images = new Uint8Array(batch * 3 * height * width)
    const target = new Float32Array(batch * classes * h * w)
    const weight = new Float32Array(batch * labelHeight * labelWidth)
    const loss = new Float32Array(1)
    const { Tensor } = ort
    return {
      graph,
      ort,
      targets: new Targets({ classes, h, w, labelHeight, labelWidth }),
      images,
      target,
      weight,
      loss,
      feeds: {
        [names.image]: new Tensor('uint8', images, [batch, 3, height, width]),
        [names.target]: new Tensor('float32', target, graph.logits),
        [names.weight]: new Tensor('float32', weight, [batch, 1, labelHeight, labelWidth]),
      },
      fetches: {
        [names.loss]: new Tensor('float32', loss, []),
        ...Object.fromEntries(
          graph.trained.map(index => {
            const { dims, offset, count } = student.parameters[index]
            return [
              names.gradient(index),
              new Tensor('float32', this.#part.subarray(offset, offset + count), dims),
            ]
          }),
        ),
      },
    }
  }
}
