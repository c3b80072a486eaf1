import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { buildDeepLab, type Colour, defaultPalette, loadStudent } from '@kestrel/models'
import type { Log } from '@kestrel/runtime'
import { aerialClasses, aerialPalette } from '@kestrel/simulator'
import { foldIntoConvolutions } from './batch-norm.js'
import { modelCard } from './card.js'
import { isModel, readCheckpoint, readStart, saveCheckpoint } from './checkpoint.js'
import { flopsPerFrame } from './cost.js'
import { gather, split } from './examples.js'
import type { Recipe } from './recipe.js'
import { modelOf, type TrainingState, train } from './train.js'
import { type Validation, validate } from './validate.js'

/** From checkpoint to checkpoint, ms. */
const CHECKPOINT_MS = 120_000

export interface PretrainOptions {
  recipe: Recipe
  /** The model, FILE.onnx; its card and its checkpoint stand beside it. */
  out: string
  resume?: boolean
  /** Ends the training early, as if those were all iterations; 0: no limit. */
  minutes?: number
  threads?: number
  /** The command line, for the card. */
  command?: string
  log: Log
  progress?: PretrainProgress
  /** Ends the training after the iteration under way; the checkpoint stays. */
  signal?: AbortSignal
}

export interface PretrainProgress {
  examples(done: number, total: number): void
  training(done: number, total: number, loss: number, miou: number | undefined): void
}

/**
 * Trains a model by its recipe and writes FILE.onnx, FILE.md (its card) and FILE.checkpoint.
 *
 * @returns undefined where it was interrupted before the end
 * @throws UserError where recipe or data cannot be used
 */
export async function pretrain(options: PretrainOptions): Promise<Validation | undefined> {
  const {
    recipe,
    out,
    resume = false,
    minutes = 0,
    threads = 0,
    command = '',
    log,
    progress,
    signal,
  } = options
  const beganMs = performance.now()
  const { model, seed } = recipe
  const classes = recipe.classes === 'aerial8' ? aerialClasses : recipe.classes
  const palette: Colour[] = recipe.classes === 'aerial8' ? aerialPalette : defaultPalette(classes.length)
  const source = `the new ${recipe.name}`
  const built = buildDeepLab({ classes, palette, ...model, seed })
  const folded = recipe.start !== undefined && isModel(recipe.start)
  const student = loadStudent(folded ? foldIntoConvolutions(built) : built, { source })
  // Now rather than after the first minutes of training.
  mkdirSync(dirname(resolve(out)), { recursive: true })
  const checkpointFile = out.replace(/\.onnx$/i, '.checkpoint')
  const resumed = resume && existsSync(checkpointFile) ? readCheckpoint(checkpointFile, student) : undefined
  const start = recipe.start === undefined ? undefined : readStart(recipe.start, student)

  const sets = await gather(recipe.sources, {
    classes,
    width: Math.round(model.width * recipe.keep),
    height: Math.round(model.height * recipe.keep),
    log,
    onProgress: progress?.examples,
  })
  const { training, validation } = split(sets, recipe.validation)

  const every = Math.max(20, Math.round(recipe.iterations / 12))
  const minutesTaken = () => (resumed?.minutes ?? 0) + (performance.now() - beganMs) / 60_000
  let savedMs = performance.now()
  let miou: number | undefined
  let loss = 0
  const onIteration = async (state: TrainingState): Promise<boolean> => {
    const { iteration } = state
    loss = loss === 0 ? state.loss : 0.95 * loss + 0.05 * state.loss
    if (iteration % every === 0 || iteration === recipe.iterations) {
      miou = (await validate(student, modelOf(student, state), validation, { limit: 8, threads })).miou
    }
    const nowMs = performance.now()
    const late = minutes > 0 && nowMs - beganMs > minutes * 60_000
    if (nowMs - savedMs > CHECKPOINT_MS || signal?.aborted || late || iteration === recipe.iterations) {
      saveCheckpoint(checkpointFile, state, minutesTaken())
      savedMs = nowMs
    }
    progress?.training(iteration, recipe.iterations, loss, miou)
    return late || signal?.aborted === true
  }
  const trained = await train({
    student,
    recipe,
    training,
    resume: resumed,
    start,
    threads,
    log,
    onIteration,
  })
  if (signal?.aborted) return undefined

  const whole = modelOf(student, trained)
  const provenance = `${recipe.name}: ${command}; seed ${seed}, ${trained.iteration} iterations, from ${training
    .map(({ name }) => name.split('/').slice(-2).join('/'))
    .join(', ')}`
  const bytes = foldIntoConvolutions(whole, { 'kestrel.provenance': provenance })
  const made = loadStudent(bytes, { source: out })
  const judged = await validate(made, bytes, validation, { threads })
  writeFileSync(out, bytes)
  writeFileSync(
    out.replace(/\.onnx$/i, '.md'),
    modelCard({
      recipe,
      student: made,
      bytes: bytes.length,
      flops: await flopsPerFrame(made),
      sets,
      validation: judged,
      iterations: trained.iteration,
      minutes: minutesTaken(),
      command,
      date: new Date().toISOString().slice(0, 10),
    }),
  )
  return judged
}
