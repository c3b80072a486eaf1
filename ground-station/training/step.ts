import { type Student, writeOnnx } from '@kestrel/models'
import { messageOf, UserError } from '@kestrel/runtime'
import type { Tensor } from 'onnxruntime-node'
import type { Batch } from './engine.js'
import type { Dialect } from './graph/emitter.js'
import { buildTrainingGraph, names, type TrainingGraph } from './graph/training-graph.js'
import { Targets } from './loss/targets.js'
import type { Provider } from './provider.js'
import { openSession, type Session } from './session.js'

export interface StepOptions {
  provider: Provider
  dialect: Dialect
  threads: number
  batchNorm: 'frozen' | 'batch'
}

/** One micro-batch's part of a batch. */
export interface StepInput {
  batch: Batch
  /** First image. */
  from: number
  /** ω by class (loss/targets.ts). */
  omega: Float64Array
  parameters: Float32Array
  /** [P]; the micro-batch's gradient is added. */
  gradient: Float32Array
  /** BatchNormalization's batch statistics; the micro-batch's are added, times `share`. */
  statistics: Map<string, Float32Array>
  share: number
}

/** A training graph of one micro-batch and label size in ONNX Runtime, with the memory that it reads and writes. */
export interface Step {
  /** Images that it takes. */
  readonly batch: number
  /** Computes a part of the loss and its gradient; returns the part of the loss. */
  run(input: StepInput): Promise<number>
  release(): Promise<void>
}

/**
 * Builds and loads the training graph.
 *
 * @throws UserError where the student or ONNX Runtime cannot do it
 */
export async function createStep(
  student: Student,
  options: StepOptions & { batch: number; labelHeight: number; labelWidth: number },
): Promise<Step> {
  const { batch, labelHeight, labelWidth, provider, threads } = options
  const graph = await buildTrainingGraph(student, options)
  const [found, classes, h, w] = graph.logits
  if (found !== batch) {
    throw new UserError(`${student.source} turns ${batch} images into logits of ${found}`)
  }
  const ort = await openSession(writeOnnx(graph.model), {
    executionProviders: provider === 'cpu' ? ['cpu'] : [provider, 'cpu'],
    intraOpNumThreads: threads,
  }).catch(cause => {
    throw new UserError(`ONNX Runtime cannot train ${student.source}: ${messageOf(cause)}`, { cause })
  })
  const memory = allocate(student, graph, ort, { batch, labelHeight, labelWidth })
  const targets = new Targets({ classes, h, w, labelHeight, labelWidth })
  const plane = labelHeight * labelWidth
  const scores = classes * h * w

  return {
    batch,
    async run({ batch: whole, from, omega, parameters, gradient, statistics, share }) {
      const image = memory.images.length / batch
      memory.images.set(whole.images.subarray(from * image, (from + batch) * image))
      for (let i = 0; i < batch; i++) {
        const labels = whole.labels.subarray((from + i) * plane, (from + i + 1) * plane)
        const target = memory.target.subarray(i * scores, (i + 1) * scores)
        targets.fill(labels, omega, target, memory.weight.subarray(i * plane, (i + 1) * plane))
      }
      // Parameters go in as views into the vector: nothing is copied.
      for (const { name, dims, offset, count } of student.parameters) {
        memory.feeds[name] = new ort.Tensor('float32', parameters.subarray(offset, offset + count), dims)
      }
      const results = await ort.session.run(memory.feeds, memory.fetches)
      for (const index of graph.trained) {
        const { offset, count } = student.parameters[index]
        for (let k = offset; k < offset + count; k++) gradient[k] += memory.gradient[k]
      }
      for (const [name, output] of graph.statistics) {
        const data = results[output].data as Float32Array
        const sum = statistics.get(name) ?? new Float32Array(data.length)
        statistics.set(
          name,
          sum.map((value, i) => value + share * data[i]),
        )
      }
      return memory.loss[0]
    },
    release: () => ort.session.release(),
  }
}

/** Everything that goes in and out, allocated once: ONNX Runtime reads and writes these arrays directly. */
function allocate(
  student: Student,
  graph: TrainingGraph,
  { Tensor }: Session,
  size: { batch: number; labelHeight: number; labelWidth: number },
) {
  const { batch, labelHeight, labelWidth } = size
  const { height, width } = student.input
  const images = new Uint8Array(batch * 3 * height * width)
  const target = new Float32Array(graph.logits.reduce((a, b) => a * b, 1))
  const weight = new Float32Array(batch * labelHeight * labelWidth)
  const loss = new Float32Array(1)
  const gradient = new Float32Array(student.parameterCount)
  const feeds: Record<string, Tensor> = {
    [names.image]: new Tensor('uint8', images, [batch, 3, height, width]),
    [names.target]: new Tensor('float32', target, graph.logits),
    [names.weight]: new Tensor('float32', weight, [batch, 1, labelHeight, labelWidth]),
  }
  const fetches: Record<string, Tensor | null> = { [names.loss]: new Tensor('float32', loss, []) }
  for (const index of graph.trained) {
    const { dims, offset, count } = student.parameters[index]
    fetches[names.gradient(index)] = new Tensor('float32', gradient.subarray(offset, offset + count), dims)
  }
  for (const output of graph.statistics.values()) fetches[output] = null
  return { images, target, weight, loss, gradient, feeds, fetches }
}
