import { existsSync, readFileSync } from 'node:fs'
import {
  type ClassList,
  metadataOf,
  readClassList,
  readModelFile,
  readOnnx,
  readStudentFile,
} from '@kestrel/models'
import { parseConfig, UserError } from '@kestrel/runtime'
import { z } from 'zod'

const triple = z.tuple([z.number(), z.number(), z.number()])
const side = z.number().int().min(1).max(16_384)

/** The JSON beside a teacher model; keys that other tools keep there are left alone. */
const descriptionSchema = z.looseObject({
  input: z.string().optional().describe("the image input's name; the model's only one by default"),
  output: z.string().optional().describe('the output with class scores or labels; the first by default'),
  size: z.tuple([side, side]).optional().describe("[width, height] of the input; the model's own by default"),
  layout: z
    .enum(['NCHW', 'NHWC'])
    .optional()
    .describe("order of the input's axes; seen from its shape by default"),
  range: z
    .tuple([z.number(), z.number()])
    .default([0, 255])
    .describe('what black and white become before normalisation'),
  normalisation: z
    .union([z.literal('inside the graph'), z.strictObject({ mean: triple, std: triple })], {
      error: 'expected "inside the graph" or {"mean": [r, g, b], "std": [r, g, b]}',
    })
    .default('inside the graph'),
})

export type TeacherDescription = z.infer<typeof descriptionSchema> & { source: string; classList: ClassList }

/**
 * Reads the JSON beside a teacher model: FILE.json or FILE.onnx.json. A model that `pretrain` wrote needs none: its classes stand in its
 * metadata, and it takes images as students do.
 *
 * @throws UserError that names the file, the key, what was found and what belongs there
 */
export function readTeacherDescription(model: string): TeacherDescription {
  const candidates = [model.replace(/\.onnx$/i, '.json'), `${model}.json`]
  const source = candidates.find(existsSync)
  if (source === undefined) {
    if (
      existsSync(model) &&
      metadataOf(readOnnx(readModelFile(model), model).proto, 'kestrel.classes') !== undefined
    ) {
      const { classes, palette } = readStudentFile(model)
      const description = descriptionSchema.parse({})
      return { ...description, source: `${model}, its metadata`, classList: { classes, palette } }
    }
    throw new UserError(
      `${candidates[0]} is absent: it says what the teacher ${model} is, such as ` +
        '{"input": "rgb", "size": [960, 544], "range": [0, 255], "normalisation": "inside the graph", ' +
        '"output": "logits", "classes": ["sky", …]}',
    )
  }
  const classList = readClassList(source)
  const description = parseConfig(JSON.parse(readFileSync(source, 'utf8')), descriptionSchema, source)
  return { ...description, source, classList }
}

/**
 * For each channel and byte the number that the network sees, [3·256]: `((from + byte/255·(to − from)) − mean)/std`.
 */
export function normalisationTable({
  range: [from, to],
  normalisation,
}: Pick<TeacherDescription, 'range' | 'normalisation'>): Float32Array {
  const { mean, std } =
    normalisation === 'inside the graph' ? { mean: [0, 0, 0], std: [1, 1, 1] } : normalisation
  return Float32Array.from({ length: 3 * 256 }, (_, i) => {
    const channel = i >> 8
    return (from + ((i & 255) / 255) * (to - from) - mean[channel]) / std[channel]
  })
}
