import type { Clock, Rng } from '@kestrel/runtime'
import type { Adam } from '../training/adam.js'
import type { TrainingEngine } from '../training/engine.js'
import type { ReplayBuffer } from './replay-buffer.js'

export interface PhaseResult {
  /** Iterations that counted. */
  iterations: number
  /** Iterations whose loss or gradient was not finite; they changed nothing. */
  skipped: number
  /** Mean loss of the iterations that counted; NaN where none did. */
  loss: number
  /** The time was up before all iterations were made. */
  short: boolean
  /** Mean time of an iteration, ms; of a clock that stands still, 0. */
  iterationMs: number
  /** u, the last Adam step, [P]; undefined where no iteration counted. Adam's own memory: valid until its next step. */
  step?: Float32Array
}

/**
 * One training phase (Algorithm 2 of the paper): K iterations, each on a mini-batch B from the replay buffer; the
 * moments of Adam advance for all coordinates, and w ← w − u on I_n only.
 *
 * @param options.parameters w, [P], changed in place
 * @param options.coordinates I_n, ascending
 * @param options.exclude frames at the newest end of the buffer that must not train (the hold-out)
 * @param options.budget time that the phase may take, ms: no iteration begins that would not end in time. One is made in any case
 * @param options.shouldStop asked before each iteration; true ends the phase early with everything consistent
 */
export async function trainPhase(options: {
  engine: TrainingEngine
  parameters: Float32Array
  adam: Adam
  buffer: ReplayBuffer
  coordinates: Uint32Array
  iterations: number
  batchSize: number
  /** [C], how much pixels of each class count; all alike where it is absent. */
  classWeights?: Float32Array
  exclude?: number
  rng: Rng
  budget?: { ms: number; clock: Clock }
  shouldStop?: () => boolean
}): Promise<PhaseResult> {
  const {
    engine,
    parameters,
    adam,
    buffer,
    coordinates,
    rng,
    classWeights,
    exclude = 0,
    budget,
    shouldStop = () => false,
  } = options
  const result: PhaseResult = { iterations: 0, skipped: 0, loss: Number.NaN, short: false, iterationMs: 0 }
  const beganMs = budget?.clock.nowMs() ?? 0
  let sum = 0
  for (let k = 0; k < options.iterations && !shouldStop(); k++) {
    if (budget !== undefined && k > 0) {
      const elapsedMs = budget.clock.nowMs() - beganMs
      result.iterationMs = elapsedMs / k
      result.short = elapsedMs + result.iterationMs > budget.ms
      if (result.short) break
    }
    const batch = buffer.sample(rng, options.batchSize, exclude)
    if (batch === undefined) break
    const { loss, gradient } = await engine.lossAndGradient({ ...batch, classWeights }, parameters)
    // One NaN would stay in the moments for the rest of the flight.
    if (!Number.isFinite(loss) || !allFinite(gradient)) {
      result.skipped++
      continue
    }
    result.step = adam.step(parameters, gradient, coordinates)
    result.iterations++
    sum += loss
  }
  if (result.iterations > 0) result.loss = sum / result.iterations
  return result
}

function allFinite(values: Float32Array): boolean {
  // x·0 is 0 for every finite x and NaN otherwise.
  let probe = 0
  for (let i = 0; i < values.length; i++) probe += values[i] * 0
  return probe === 0
}
