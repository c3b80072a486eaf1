import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { messageOf, UserError } from '@kestrel/runtime/errors'
import {
  type ClassList,
  type Colour,
  checkClassList,
  defaultPalette,
  MAX_CLASSES,
  parseJson,
  readClassList,
} from './classes.js'
import { fedInputs, metadataOf, valueShape } from './graph.js'
import { MAX_MODEL_BYTES, readOnnx } from './onnx.js'
import { findParameters, type ParameterTensor, prepareParameters } from './parameters.js'
import { TensorProto_DataType as DataType, type ModelProto, type ValueInfoProto } from './proto/onnx_pb.js'

/** A segmentation network that can be adapted in flight (DESIGN.md section 2). */
export interface Student {
  /** Where it came from, for messages. */
  source: string
  /** The model; `parameters` point into it. May differ from the file where that had to be brought into form. */
  bytes: Uint8Array
  proto: ModelProto
  parameters: ParameterTensor[]
  /** P, the length of the parameter vector. */
  parameterCount: number
  /** The image: float32 [batch,3,height,width], RGB 0..255. */
  input: { name: string; height: number; width: number; batch: number | 'dynamic' }
  /** The logits: float32 [batch,classes,h,w]. */
  output: { name: string; classes: number }
  classes: string[]
  palette: Colour[]
  /** SHA-256 over names and shapes of the parameters: two files with the same digest have interchangeable vectors. */
  layoutDigest: Uint8Array
}

/**
 * Reads a student.
 *
 * @param options.source names it in errors
 * @param options.classes the class list where the model's metadata carries none; takes precedence where both exist
 * @throws UserError that says why the model is no student and how to make it one
 */
export function loadStudent(bytes: Uint8Array, options: { source: string; classes?: ClassList }): Student {
  const { source } = options
  const raw = readOnnx(bytes, source)
  const input = imageInput(raw.proto, source)
  const output = logitsOutput(raw.proto, source)
  const { classes, palette = defaultPalette(classes.length) } =
    options.classes ?? ownClasses(raw.proto, source)
  if (classes.length !== output.classes) {
    throw new UserError(
      `${source}: the output "${output.name}" has ${output.classes} classes but ${classes.length} are named ` +
        `(${classes.join(', ')}); give one name for each`,
    )
  }
  const model = prepareParameters(raw, source)
  const parameters = findParameters(model, source)
  const last = parameters.at(-1)
  if (last === undefined) {
    throw new UserError(
      `${source} has no trainable parameters: no float32 initializer feeds Conv, ConvTranspose, Gemm, MatMul, ` +
        'BatchNormalization or PRelu; export it in float32, not quantised',
    )
  }
  return {
    source,
    ...model,
    parameters,
    parameterCount: last.offset + last.count,
    input,
    output,
    classes,
    palette,
    layoutDigest: layoutDigest(parameters),
  }
}

/**
 * Reads a student from a file. Where its metadata name no classes, they come from the JSON beside it: `FILE.onnx.json`,
 * `FILE.json` or `classes.json`.
 */
export function readStudentFile(path: string): Student {
  const bytes = readModelFile(path)
  const { proto } = readOnnx(bytes, path)
  if (metadataOf(proto, 'kestrel.classes') !== undefined) return loadStudent(bytes, { source: path })
  const beside = [`${path}.json`, path.replace(/\.onnx$/i, '.json'), join(dirname(path), 'classes.json')]
  const file = beside.find(candidate => candidate !== path && existsSync(candidate))
  return loadStudent(bytes, { source: path, classes: file === undefined ? undefined : readClassList(file) })
}

/** Reads a model file, with one clear error where that fails. */
export function readModelFile(path: string): Uint8Array {
  try {
    const { size } = statSync(path)
    if (size > MAX_MODEL_BYTES) {
      throw new UserError(`${path} has ${size} bytes; models up to ${MAX_MODEL_BYTES} bytes are read`)
    }
    return readFileSync(path)
  } catch (cause) {
    if (cause instanceof UserError) throw cause
    throw new UserError(`Cannot read the model ${path}: ${messageOf(cause)}`, { cause })
  }
}

/** The parameter vector of a student, [P]. */
export function readParameters(student: Student): Float32Array {
  const vector = new Float32Array(student.parameterCount)
  const to = new Uint8Array(vector.buffer)
  for (const { offset, byteOffset, count } of student.parameters) {
    to.set(student.bytes.subarray(byteOffset, byteOffset + 4 * count), 4 * offset)
  }
  return vector
}

/** A copy of the model's bytes with other parameters, [P]; the student itself is left as it is. */
export function withParameters(student: Student, parameters: Float32Array): Uint8Array {
  if (parameters.length !== student.parameterCount) {
    throw new RangeError(
      `${student.source} has ${student.parameterCount} parameters; ${parameters.length} were given`,
    )
  }
  const bytes = student.bytes.slice()
  const from = new Uint8Array(parameters.buffer, parameters.byteOffset, parameters.byteLength)
  for (const { offset, byteOffset, count } of student.parameters) {
    bytes.set(from.subarray(4 * offset, 4 * (offset + count)), byteOffset)
  }
  return bytes
}

/**
 * Writes single parameters into the bytes of a model, in place.
 *
 * @param layout the student's `parameters`
 * @param indices ascending positions in the parameter vector
 * @throws RangeError, before anything is written, where indices descend, leave the vector or do not match the values
 */
export function patchParameters(
  bytes: Uint8Array,
  layout: ParameterTensor[],
  indices: Uint32Array,
  values: Float32Array,
): void {
  const last = layout[layout.length - 1]
  const total = last.offset + last.count
  if (indices.length !== values.length) {
    throw new RangeError(`${indices.length} indices but ${values.length} values`)
  }
  for (let i = 0; i < indices.length; i++) {
    if (indices[i] >= total || (i > 0 && indices[i] <= indices[i - 1])) {
      throw new RangeError(
        `Index ${indices[i]} at position ${i} is out of order or beyond ${total} parameters`,
      )
    }
  }
  if (layout.some(tensor => tensor.byteOffset + 4 * tensor.count > bytes.length)) {
    throw new RangeError('The parameter layout is of another model: it reaches beyond the bytes')
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let tensor = 0
  for (let i = 0; i < indices.length; i++) {
    while (indices[i] >= layout[tensor].offset + layout[tensor].count) tensor++
    view.setFloat32(layout[tensor].byteOffset + 4 * (indices[i] - layout[tensor].offset), values[i], true)
  }
}

/** SHA-256 of a parameter vector, 32 bytes: over its float32 values, little-endian (as every machine we run on keeps them). */
export function parameterDigest(parameters: Float32Array): Uint8Array {
  const bytes = new Uint8Array(parameters.buffer, parameters.byteOffset, parameters.byteLength)
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}

function layoutDigest(parameters: ParameterTensor[]): Uint8Array {
  const text = JSON.stringify(parameters.map(({ name, dims }) => [name, dims]))
  return new Uint8Array(createHash('sha256').update(text).digest())
}

function describe(value: ValueInfoProto): string {
  const { type, dims } = valueShape(value)
  return `"${value.name}" is ${DataType[type]?.toLowerCase() ?? type} [${dims?.map(dim => dim ?? '?').join(',') ?? 'no shape'}]`
}

function imageInput(proto: ModelProto, source: string): Student['input'] {
  const inputs = fedInputs(proto.graph!)
  if (inputs.length !== 1) {
    throw new UserError(
      `${source}: a student has exactly one input, the image; found ${inputs.length}` +
        `${inputs.length === 0 ? '' : ` (${inputs.map(({ name }) => name).join(', ')})`}; export it with the image alone`,
    )
  }
  const { type, dims } = valueShape(inputs[0])
  const [batch, channels, height, width] = dims ?? []
  if (type !== DataType.FLOAT || dims?.length !== 4 || channels !== 3) {
    throw new UserError(
      `${source}: the input must be an RGB image, float [N,3,H,W]; ${describe(inputs[0])}; ` +
        'export the model channels first with float input 0..255',
    )
  }
  if (!isSize(height) || !isSize(width)) {
    throw new UserError(
      `${source}: the input needs a fixed height and width; ${describe(inputs[0])}; export it for one image size`,
    )
  }
  if (typeof batch === 'number' && batch !== 1) {
    throw new UserError(
      `${source}: the batch size must be 1 or dynamic; ${describe(inputs[0])}; export it with a dynamic batch`,
    )
  }
  return { name: inputs[0].name, height, width, batch: typeof batch === 'number' ? batch : 'dynamic' }
}

function logitsOutput(proto: ModelProto, source: string): Student['output'] {
  const { output } = proto.graph!
  const value = output.length === 1 ? output[0] : output.find(({ name }) => name === 'logits')
  if (value === undefined) {
    throw new UserError(
      `${source} has ${output.length} outputs (${output.map(({ name }) => name).join(', ')}) and none is called "logits"; ` +
        'keep one, or name the class scores "logits"',
    )
  }
  const { type, dims } = valueShape(value)
  const classes = dims?.[1]
  if (type !== DataType.FLOAT || dims?.length !== 4 || !isSize(classes) || classes > MAX_CLASSES) {
    throw new UserError(
      `${source}: the output must be class scores, float [N,C,h,w] with a fixed C of at most ${MAX_CLASSES}; ` +
        `${describe(value)}; export the model without its arg-max and with shapes inferred`,
    )
  }
  return { name: value.name, classes }
}

function isSize(dim: unknown): dim is number {
  return typeof dim === 'number' && dim >= 1 && dim <= 65536
}

function ownClasses(proto: ModelProto, source: string): ClassList {
  const classes = metadataOf(proto, 'kestrel.classes')
  if (classes === undefined) {
    throw new UserError(
      `${source} does not name its classes: put {"classes": ["…"]} beside it as FILE.json, ` +
        'or a JSON list into its metadata as "kestrel.classes"',
    )
  }
  const palette = metadataOf(proto, 'kestrel.palette')
  return checkClassList(
    {
      classes: parseJson(classes, `${source}, metadata "kestrel.classes"`),
      palette:
        palette === undefined ? undefined : parseJson(palette, `${source}, metadata "kestrel.palette"`),
    },
    `${source}, its metadata`,
  )
}
