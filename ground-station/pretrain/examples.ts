import { existsSync, readdirSync, statSync } from 'node:fs'
import { cpus } from 'node:os'
import { extname, join } from 'node:path'
import { decodeStill, decodeVideoFile, Scaler, stillExtensions } from '@kestrel/link'
import { IGNORE, type LabelMap, type RgbImage, resizeLabels } from '@kestrel/models'
import { type Log, UserError } from '@kestrel/runtime'
import {
  aerialClasses,
  loadScenario,
  openFlight,
  RenderThread,
  type Scenario,
  scenarioNames,
} from '@kestrel/simulator'
import { teacherTable } from '../teacher/classes.js'
import { openTeacher } from '../teacher/open.js'
import type { SourceRecipe } from './recipe.js'

/** A picture with its labels, both at the size in which examples are kept. */
export interface Example {
  image: RgbImage
  labels: LabelMap
}

/** Examples of one source, in order. */
export interface ExampleSet {
  name: string
  weight: number
  /** As in the recipe; that of the whole recipe where absent. */
  classBalance?: number
  /** Taken straight down. */
  nadir?: boolean
  examples: Example[]
}

/** More would not fit beside the training: examples are kept in memory. */
const MAX_BYTES = 8e9

export interface GatherOptions {
  /** The student's classes. */
  classes: string[]
  /** At which examples are kept: somewhat larger than the input, so that cut-outs stay sharp. */
  width: number
  height: number
  log: Log
  /** Told how many examples of how many there are. */
  onProgress?: (done: number, total: number) => void
}

/**
 * Draws, reads and labels everything that a recipe names.
 *
 * @throws UserError where a source cannot be used, or is kept for judging
 */
export async function gather(sources: SourceRecipe[], options: GatherOptions): Promise<ExampleSet[]> {
  const sets: ExampleSet[] = []
  let bytes = 0
  for (const source of sources) {
    const reader = 'scenarios' in source ? fromScenarios(source, options) : fromPictures(source, options)
    for await (const { name, example } of reader) {
      let set = sets.find(other => other.name === name)
      if (set === undefined) sets.push((set = newSet(name, source)))
      if (!example.labels.data.some(label => label !== IGNORE)) continue
      set.examples.push(example)
      bytes += example.image.data.length + example.labels.data.length
      if (bytes > MAX_BYTES) {
        throw new UserError(
          `The examples take more than ${MAX_BYTES / 1e9} GB of memory at ${options.width}x${options.height}: take fewer frames`,
        )
      }
    }
  }
  return sets.filter(({ examples }) => examples.length > 0)
}

function newSet(name: string, source: SourceRecipe): ExampleSet {
  const { weight, classBalance } = source
  return { name, weight, classBalance, nadir: 'pictures' in source && source.nadir === true, examples: [] }
}

type Named = { name: string; example: Example }

async function* fromScenarios(
  source: Extract<SourceRecipe, { scenarios: unknown }>,
  { classes, width, height, log, onProgress }: GatherOptions,
): AsyncGenerator<Named> {
  const { scenarios: wanted, frames } = source
  const scenarios =
    typeof wanted === 'string'
      ? scenarioNames()
          .map(loadScenario)
          .filter(({ trains }) => trains.includes(wanted))
      : wanted.map(loadScenario)
  for (const { name, heldOut } of scenarios) {
    if (heldOut) {
      throw new UserError(
        `The scenario ${name} is held out: models are judged on it, so none may be trained on it. Choose another one`,
      )
    }
  }
  const table = teacherTable({
    source: 'the simulator',
    classes: aerialClasses,
    studentClasses: classes,
    log,
  })
  let done = 0
  for (const scenario of scenarios) {
    // Neither the ground before the take-off nor after the landing.
    const [fromS, toS] = [10, openFlight(scenario).durationS - 12]
    const times = Array.from({ length: frames }, (_, i) => fromS + ((i + 0.5) * (toS - fromS)) / frames)
    for await (const { image, labels } of drawAll(scenario, times, { width, height })) {
      onProgress?.(++done, frames * scenarios.length)
      yield { name: scenario.name, example: { image, labels: relabel(labels, table) } }
    }
  }
}

/** The frames of some moments, in their order; each core draws a stretch of them. */
async function* drawAll(scenario: Scenario, times: number[], size: { width: number; height: number }) {
  const cores = Math.min(4, cpus().length, times.length)
  const threads = Array.from({ length: cores }, () => new RenderThread({ scenario, ...size }))
  try {
    const drawn = times.map((at, i) => threads[Math.floor((i * cores) / times.length)].render(at))
    // Whoever stops reading early waits for nothing.
    for (const frame of drawn) frame.catch(() => undefined)
    for (const frame of drawn) yield await frame
  } finally {
    await Promise.all(threads.map(thread => thread.stop()))
  }
}

async function* fromPictures(
  source: Extract<SourceRecipe, { pictures: unknown }>,
  { classes, width, height, log, onProgress }: GatherOptions,
): AsyncGenerator<Named> {
  const { pictures, teacher: spec, every, correct = {} } = source
  const table = correction(correct, classes, pictures)
  if (!existsSync(pictures))
    throw new UserError(`There are no pictures ${pictures}: give a folder or a video file`)
  const teacher = await openTeacher(spec, { studentClasses: classes, log })
  const scaler = new Scaler()
  try {
    let done = 0
    for await (const { image, index, total } of readPictures(pictures)) {
      if (index % every !== 0) continue
      const labels = await teacher.label(image, { sourceIndex: index, captureMs: 0 })
      const example = {
        image: scaler.scale(image, width, height),
        labels: relabel(resizeLabels(labels, width, height), table),
      }
      // Own memory: scaled pictures lie in the scaler's buffers.
      yield {
        name: pictures,
        example: { ...example, image: { ...example.image, data: example.image.data.slice() } },
      }
      onProgress?.(++done, Math.ceil(total / every))
    }
  } finally {
    scaler.dispose()
    await teacher.release()
  }
}

async function* readPictures(
  path: string,
): AsyncGenerator<{ image: RgbImage; index: number; total: number }> {
  if (!statSync(path).isDirectory()) {
    const video = decodeVideoFile(path)
    for await (const { image, index } of video) yield { image, index, total: 0 }
    return
  }
  const { compare } = new Intl.Collator('en', { numeric: true })
  const names = readdirSync(path)
    .filter(name => !name.startsWith('.') && stillExtensions.includes(extname(name).toLowerCase()))
    .sort(compare)
  if (names.length === 0) {
    throw new UserError(`${path} has no pictures: expected ${stillExtensions.join(', ')}`)
  }
  for (const [index, name] of names.entries()) {
    yield { image: await decodeStill(join(path, name)), index, total: names.length }
  }
}

function relabel(labels: LabelMap, table: Uint8Array): LabelMap {
  return { ...labels, data: labels.data.map(label => table[label]) }
}

/** 256 entries: what a label of the teacher counts as. @throws UserError where a name is no class */
function correction(correct: Record<string, string>, classes: string[], pictures: string): Uint8Array {
  const table = Uint8Array.from({ length: 256 }, (_, label) => label)
  const indexOf = (name: string) => {
    const index = classes.indexOf(name)
    if (index >= 0) return index
    throw new UserError(
      `The source ${pictures} corrects "${name}", which is no class: expected ${classes.join(', ')}`,
    )
  }
  for (const [wrong, right] of Object.entries(correct)) table[indexOf(wrong)] = indexOf(right)
  return table
}

/**
 * Splits examples into those that train and those that judge: of each source the examples at even distances, so that all of it is
 * judged; the same ones each time.
 */
export function split(
  sets: ExampleSet[],
  share: number,
): { training: ExampleSet[]; validation: ExampleSet[] } {
  const step = share === 0 ? Number.POSITIVE_INFINITY : Math.round(1 / share)
  const part = (held: boolean) =>
    sets.map(set => ({
      ...set,
      examples: set.examples.filter((_, i) => (i % step === step - 1) === held),
    }))
  return { training: part(false), validation: part(true) }
}
