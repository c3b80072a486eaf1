import { cpus } from 'node:os'
import type { Student } from '@kestrel/models'
import type { ExampleSet } from './examples.js'
import type { Recipe } from './recipe.js'
import type { Validation } from './validate.js'

/** A page about a model: what it is, what it was trained on, how to train it again, and how good it is. */
export function modelCard(options: {
  recipe: Recipe
  student: Student
  bytes: number
  /** Operations for a frame. */
  flops: number
  sets: ExampleSet[]
  validation: Validation
  iterations: number
  minutes: number
  command: string
  date: string
}): string {
  const { recipe, student, bytes, flops, sets, validation, iterations, minutes, command, date } = options
  const { width, height } = student.input
  const { widthMultiplier, outputStride, decoder } = recipe.model
  const figure = (value: number | undefined) => (value === undefined ? '–' : `${value.toFixed(1)} %`)
  const examples = new Map(sets.map(({ name, examples }) => [name, examples.length]))
  return `# ${recipe.name}

${recipe.about}

| | |
|---|---|
| architecture | DeepLabV3${decoder ? '+' : ''}-MobileNetV2 ×${widthMultiplier}, output stride ${outputStride}, BatchNorm folded |
| input | ${width}×${height}, RGB 0..255 |
| parameters | ${student.parameterCount.toLocaleString('en')} (${(bytes / 1e6).toFixed(1)} MB) |
| cost | ${(flops / 1e9).toPrecision(2)} GFLOP a frame (a multiplication and an addition are two) |
| classes | ${student.classes.join(', ')} |
| licence | ${recipe.licence} |
| training | ${iterations} iterations of ${recipe.batch} images, ${recipe.start === undefined ? 'from random weights' : `from ${recipe.start.split('/').at(-1)}`}, seed ${recipe.seed} |
| took | ${minutes.toFixed(0)} min on ${cpus().length} cores of ${cpus()[0]?.model.trim() ?? 'an unknown processor'}, ${date} |
| command | \`${command}\` |

mIoU on examples that were held back: **${figure(validation.miou)}**.

| class | IoU |
|---|---|
${student.classes.map((name, i) => `| ${name} | ${figure(validation.perClass[i])} |`).join('\n')}

| trained on | examples | mIoU on those held back |
|---|---|---|
${validation.perSet.map(({ name, miou }) => `| ${name.split('/').slice(-2).join('/')} | ${examples.get(name) ?? 0} | ${figure(miou)} |`).join('\n')}
`
}
