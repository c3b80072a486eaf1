import { readParameters, type Student, withParameters } from '@kestrel/models'
import { createRng, type Log } from '@kestrel/runtime'
import { Adam } from '../training/adam.js'
import { createEngine } from '../training/create-engine.js'
import { withStatistics } from './batch-norm.js'
import { batches } from './batches.js'
import type { Checkpoint, Start } from './checkpoint.js'
import type { ExampleSet } from './examples.js'
import type { Recipe } from './recipe.js'

/** How fast running statistics follow those of the batches. */
const FOLLOW = 0.05

/** Batches whose statistics are averaged at the end, with the weights at rest. */
const SETTLE = 24

export interface Trained {
  parameters: Float32Array
  statistics: Map<string, Float32Array>
  iteration: number
}

/** The state of a training between two iterations. */
export interface TrainingState extends Trained {
  student: Student
  adam: Adam
  /** Mean loss since the last report. */
  loss: number
}

export interface TrainOptions {
  student: Student
  recipe: Recipe
  training: ExampleSet[]
  /** Goes on from there: as if it had never stopped. */
  resume?: Checkpoint
  /** Only weights and statistics are taken from there. */
  start?: Start
  threads?: number
  log: Log
  /** Called after each iteration; `true` ends the training there. */
  onIteration?: (state: TrainingState) => Promise<boolean | undefined>
}

/**
 * Trains a student from labelled examples: Adam with decoupled weight decay (arXiv 1711.05101), a warm-up and a cosine,
 * BatchNormalization with the statistics of the batch. Each iteration's examples follow from seed and iteration alone, so that a
 * training that was interrupted goes on as if it had not been.
 *
 * @returns weights, and statistics measured anew over some batches with these weights
 */
export async function train(options: TrainOptions): Promise<Trained> {
  const { student, recipe, training, resume, start, threads = 0, log, onIteration } = options
  const { iterations, alpha, warmup, weightDecay, seed } = recipe
  const from = resume ?? start
  const parameters = from?.parameters.slice() ?? readParameters(student)
  const statistics = new Map([...(from?.statistics ?? [])].map(([name, values]) => [name, values.slice()]))
  const adam = new Adam(parameters.length, { alpha: 1 })
  if (resume !== undefined) {
    adam.m.set(resume.m)
    adam.v.set(resume.v)
    adam.i = resume.steps
  }
  const decays = decayMask(student)
  const microBatch = Math.min(recipe.microBatch, recipe.batch)
  const engine = await createEngine(student, { batchNorm: 'batch', microBatch, threads, log })
  const draw = batches(student, recipe, training)
  const none = new Uint32Array(0)
  let iteration = resume?.iteration ?? 0
  try {
    for (let stopped = false; iteration < iterations && !stopped; ) {
      const { loss, gradient, batchStatistics } = await engine.lossAndGradient(
        draw(createRng(`${seed}/batch/${iteration}`)),
        parameters,
      )
      const rate = alpha * schedule(iteration, iterations, warmup)
      // With α = 1 and no coordinate chosen, Adam only says which way to go.
      const step = adam.step(parameters, gradient, none)
      for (let k = 0; k < parameters.length; k++) {
        parameters[k] -= rate * (step[k] + weightDecay * decays[k] * parameters[k])
      }
      follow(statistics, batchStatistics, iteration === 0 ? 1 : FOLLOW)
      iteration++
      const state = { student, parameters, statistics, iteration, adam, loss }
      stopped = (await onIteration?.(state)) === true
    }
    const sums = new Map<string, Float32Array>()
    for (let i = 0; i < SETTLE && statistics.size > 0; i++) {
      const { batchStatistics } = await engine.lossAndGradient(
        draw(createRng(`${seed}/settle/${i}`)),
        parameters,
      )
      follow(sums, batchStatistics, 1 / (i + 1))
    }
    return { parameters, statistics: sums, iteration }
  } finally {
    await engine.dispose()
  }
}

/** The model as it stands, with its running statistics. */
export function modelOf(
  student: Student,
  { parameters, statistics }: Omit<Trained, 'iteration'>,
): Uint8Array {
  return withStatistics(withParameters(student, parameters), statistics)
}

/** α's share at an iteration: up in a straight line, down along a cosine. */
export function schedule(iteration: number, iterations: number, warmup: number): number {
  if (iteration < warmup) return (iteration + 1) / warmup
  const done = (iteration - warmup) / Math.max(1, iterations - warmup)
  return 0.5 * (1 + Math.cos(Math.PI * Math.min(1, done)))
}

/** Moves each value a share of the way to the batch's; the first time all of it. */
function follow(
  statistics: Map<string, Float32Array>,
  batch: Map<string, Float32Array> | undefined,
  share: number,
): void {
  for (const [name, values] of batch ?? []) {
    const running = statistics.get(name)
    if (running === undefined) statistics.set(name, values.slice())
    else for (let i = 0; i < values.length; i++) running[i] += share * (values[i] - running[i])
  }
}

/** 1 where weight decay applies: to weights, not to biases and what BatchNormalization scales and shifts by. */
function decayMask(student: Student): Uint8Array {
  const mask = new Uint8Array(student.parameterCount)
  for (const { role, offset, count } of student.parameters)
    if (role === 'weight') mask.fill(1, offset, offset + count)
  return mask
}
