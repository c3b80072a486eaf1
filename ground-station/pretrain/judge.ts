import { readStudentFile } from '@kestrel/models'
import { type Log, UserError } from '@kestrel/runtime'
import { aerialClasses } from '@kestrel/simulator'
import { gather, split } from './examples.js'
import type { Recipe } from './recipe.js'
import { type Validation, validate } from './validate.js'

export interface Judged {
  /** The model's file. */
  file: string
  validation: Validation
}

/**
 * Judges finished models on the examples of a recipe: those that it holds back, or all of them, for footage that no model has seen. Each model
 * sees the pictures, and is judged on the labels, at its own size.
 *
 * @throws UserError where a source or a model cannot be used, or nothing is held back
 */
export async function judge(options: {
  recipe: Recipe
  files: string[]
  all?: boolean
  threads?: number
  log: Log
  onExample?: (done: number, total: number) => void
}): Promise<Judged[]> {
  const { recipe, files, all = false, threads = 0, log, onExample } = options
  const { model, keep, sources } = recipe
  const classes = recipe.classes === 'aerial8' ? aerialClasses : recipe.classes
  // Before the pictures are labelled, which may take minutes.
  const students = files.map(file => readStudentFile(file))
  for (const student of students) {
    if (student.classes.join() !== classes.join()) {
      throw new UserError(
        `${student.source} knows ${student.classes.join(', ')}; the recipe ${recipe.name} is about ${classes.join(', ')}`,
      )
    }
  }
  const sets = await gather(sources, {
    classes,
    width: Math.round(model.width * keep),
    height: Math.round(model.height * keep),
    log,
    onProgress: onExample,
  })
  const judging = all ? sets : split(sets, recipe.validation).validation
  if (judging.every(({ examples }) => examples.length === 0)) {
    throw new UserError(
      `The recipe ${recipe.name} holds back nothing of what it names: raise "validation", or judge on --all`,
    )
  }
  const judged: Judged[] = []
  for (const [i, student] of students.entries()) {
    judged.push({ file: files[i], validation: await validate(student, student.bytes, judging, { threads }) })
  }
  return judged
}

/** A line for each source and one for all: mIoU of each model, percent. */
export function judgementTable(judged: Judged[]): string {
  const figure = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(1))
  const name = (path: string) => path.split('/').slice(-2).join('/')
  const sets = judged[0].validation.perSet
  const rows = [
    ['mIoU, %', 'examples', ...judged.map(({ file }) => name(file))],
    ...sets.map((set, i) => [
      name(set.name),
      String(set.examples),
      ...judged.map(({ validation }) => figure(validation.perSet[i].miou)),
    ]),
    [
      'all',
      String(sets.reduce((sum, { examples }) => sum + examples, 0)),
      ...judged.map(({ validation }) => figure(validation.miou)),
    ],
  ]
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))
  const line = (row: string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')
  return rows.map(line).join('\n')
}
