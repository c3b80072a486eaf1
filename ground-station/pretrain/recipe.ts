import { dirname, resolve } from 'node:path'
import { loadConfig } from '@kestrel/runtime'
import { z } from 'zod'

const weight = z
  .number()
  .positive()
  .default(1)
  .describe('how often its examples are drawn, next to the others')

const classBalance = z.number().min(0).max(1)

const balance = classBalance
  .optional()
  .describe('as below, for this source only; sources with different ones are never in one batch')

const sourceSchema = z.union([
  z.strictObject({
    scenarios: z
      .union([z.enum(['student', 'teacher']), z.array(z.string().min(1)).min(1)])
      .describe('names or files; or all shipped ones that train the shipped students, or the teacher'),
    frames: z
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(300)
      .describe('pictures of each, evenly over the flight'),
    weight,
    classBalance: balance,
  }),
  z.strictObject({
    pictures: z.string().min(1).describe('a folder of pictures, or a video file'),
    teacher: z.string().min(1).describe('labels:DIR, one label PNG a picture, or a model FILE.onnx'),
    every: z.number().int().min(1).default(1).describe('take every so many pictures only'),
    correct: z
      .record(z.string(), z.string())
      .optional()
      .describe('classes that the teacher is known to get wrong here, and what they are: { water: land }'),
    nadir: z.boolean().optional().describe('taken straight down, so that they may be turned upside down'),
    weight,
    classBalance: balance,
  }),
])

/** What `pretrain` does: a file says all of it, so that a model can be trained again. */
export const recipeSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[\w.-]+$/, 'expected letters, digits, dots, hyphens')
    .describe('of the model'),
  about: z.string().default('').describe('a sentence for its card'),
  licence: z.string().default('not stated').describe('of the weights, given the data'),
  seed: z.number().int().default(1).describe('of everything random'),
  classes: z
    .union([z.literal('aerial8'), z.array(z.string().min(1)).min(2)])
    .default('aerial8')
    .describe('names of the classes, in label order; aerial8: those of the simulator'),
  model: z
    .strictObject({
      width: z.number().int().default(256).describe('of the input, pixels'),
      height: z.number().int().default(144).describe('of the input, pixels'),
      widthMultiplier: z.number().default(0.5).describe('of DeepLabV3-MobileNetV2'),
      outputStride: z
        .union([z.literal(8), z.literal(16), z.literal(32)])
        .default(16)
        .describe('image over the features of the backbone'),
      decoder: z
        .boolean()
        .default(false)
        .describe('DeepLabV3+: finer edges, for about a quarter more time a frame'),
    })
    .prefault({}),
  start: z
    .string()
    .optional()
    .describe(
      'FILE.checkpoint or FILE.onnx of the same architecture, of any size, whose weights are the beginning; else random',
    ),
  sources: z.array(sourceSchema).min(1).describe('what it is trained on'),
  keep: z
    .number()
    .min(1)
    .max(8)
    .default(1.25)
    .describe('examples are kept so many times as large as the input: cut-outs stay sharp'),
  validation: z.number().min(0).max(0.5).default(0.1).describe('share of the examples that is held back'),
  iterations: z.number().int().min(1).max(1_000_000).default(1500).describe('training iterations'),
  batch: z.number().int().min(2).max(256).default(8).describe('images in one iteration'),
  microBatch: z
    .number()
    .int()
    .min(2)
    .max(256)
    .default(4)
    .describe('images that go through at once, and share their statistics; memory grows with it'),
  alpha: z.number().positive().max(1).default(2e-3).describe('learning rate at its height'),
  warmup: z
    .number()
    .int()
    .min(0)
    .default(50)
    .describe('iterations in which it rises; then it falls along a cosine'),
  weightDecay: z.number().min(0).default(1e-4).describe('decoupled, a share of α'),
  classBalance: classBalance
    .default(0.5)
    .describe(
      'how much more pixels of rare classes count: (mean frequency / frequency)^this, at most 8; 0: all alike',
    ),
  augment: z
    .strictObject({
      minScale: z.number().min(0.2).max(1).default(0.5).describe('smallest cut-out, share of the picture'),
      maxScale: z.number().min(0.2).max(1).default(1).describe('largest cut-out, share of the picture'),
      colour: z.number().min(0).max(1).default(0.5).describe('strength of changes of light and colour'),
      noise: z.number().min(0).max(40).default(8).describe('most noise, grey levels'),
    })
    .prefault({}),
})

export type Recipe = z.infer<typeof recipeSchema>
export type SourceRecipe = Recipe['sources'][number]

/**
 * Reads a recipe. Relative paths in it count from its own folder.
 *
 * @throws UserError that names the key, what was found and what was expected
 */
export function loadRecipe(file: string): Recipe {
  const recipe = loadConfig(file, recipeSchema)
  const from = (path: string) => resolve(dirname(file), path)
  return {
    ...recipe,
    start: recipe.start === undefined ? undefined : from(recipe.start),
    sources: recipe.sources.map(source =>
      'pictures' in source
        ? {
            ...source,
            pictures: from(source.pictures),
            teacher: source.teacher.startsWith('labels:')
              ? `labels:${from(source.teacher.slice('labels:'.length))}`
              : from(source.teacher),
          }
        : source,
    ),
  }
}
