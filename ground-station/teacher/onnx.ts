import { Scaler } from '@kestrel/link'
import { argmaxUpsampled, IGNORE, type LabelMap, type RgbImage, readModelFile } from '@kestrel/models'
import { type Log, messageOf, UserError } from '@kestrel/runtime'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { teacherTable } from './classes.js'
import { normalisationTable, readTeacherDescription, type TeacherDescription } from './description.js'
import type { Teacher } from './teacher.js'

interface Input {
  name: string
  width: number
  height: number
  layout: 'NCHW' | 'NHWC'
  type: 'float32' | 'uint8'
}

/**
 * An ONNX network as a teacher: an RGB image in; class scores [1,C,h,w] or a label map [1,h,w] or [1,1,h,w] out. The
 * JSON beside it names its classes and says how to feed it. Runs on the calling thread, so it belongs in a worker.
 *
 * @throws UserError that names the file, what is wrong with it and what belongs there
 */
export async function openOnnxTeacher(
  file: string,
  options: { studentClasses: string[]; threads?: number; log: Log },
): Promise<Teacher> {
  const { studentClasses, threads = 0, log } = options
  const description = readTeacherDescription(file)
  const { classes, ignore } = description.classList
  const table = teacherTable({ source: description.source, classes, ignore, studentClasses, log })
  const bytes = readModelFile(file)
  const { default: ort } = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  }).catch((cause: unknown): never => {
    throw new UserError(`ONNX Runtime cannot load the teacher ${file}: ${messageOf(cause)}`, { cause })
  })
  const input = imageInput(session, description, file)
  const output = description.output ?? session.outputNames[0]
  if (!session.outputNames.includes(output)) {
    throw new UserError(
      `${description.source} names the output "${output}"; ${file} has ${session.outputNames.join(', ')}`,
    )
  }
  const scaler = new Scaler()
  const numbers = normalisationTable(description)
  return {
    classes,
    atCameraSize: false,
    async label(image: RgbImage): Promise<LabelMap> {
      const scaled = scaler.scale(image, input.width, input.height)
      const feeds = { [input.name]: toTensor(scaled, input, numbers, ort.Tensor) }
      const result = (await session.run(feeds, [output]))[output]
      const map = toLabels(result, input, classes.length, file)
      return { ...map, data: map.data.map(label => table[label]) }
    },
    async release() {
      await session.release()
    },
  }
}

function imageInput(session: InferenceSession, description: TeacherDescription, file: string): Input {
  const { inputMetadata } = session
  const name = description.input ?? inputMetadata[0].name
  const found = inputMetadata.find(candidate => candidate.name === name)
  if (found === undefined || !found.isTensor) {
    throw new UserError(
      `${description.source} names the input "${name}"; ${file} has ${session.inputNames.join(', ')}`,
    )
  }
  const { shape, type } = found
  if (type !== 'float32' && type !== 'uint8') {
    throw new UserError(`${file}: the input "${name}" is ${type}; teachers take float32 or uint8 images`)
  }
  const layout = description.layout ?? (shape[3] === 3 && shape[1] !== 3 ? 'NHWC' : 'NCHW')
  const axes = layout === 'NCHW' ? { c: 1, h: 2, w: 3 } : { c: 3, h: 1, w: 2 }
  const [width, height] = description.size ?? [shape[axes.w], shape[axes.h]]
  if (typeof width !== 'number' || typeof height !== 'number' || width < 1 || height < 1) {
    throw new UserError(
      `${file} takes images of any size: say in ${description.source} which, "size": [width, height]`,
    )
  }
  const agrees = (axis: number, size: number) => typeof shape[axis] !== 'number' || shape[axis] === size
  if (shape.length !== 4 || !agrees(axes.c, 3) || !agrees(axes.h, height) || !agrees(axes.w, width)) {
    throw new UserError(
      `${file}: the input "${name}" is [${shape.join(',')}], which is no ${layout} RGB image of ` +
        `${width}x${height} as ${description.source} has it`,
    )
  }
  return { name, width, height, layout, type }
}

function toTensor(image: RgbImage, input: Input, numbers: Float32Array, Tensor: typeof OrtTensor): OrtTensor {
  const { width, height, layout, type } = input
  const plane = width * height
  const data = type === 'uint8' ? new Uint8Array(3 * plane) : new Float32Array(3 * plane)
  const [pixelStep, channelStep] = layout === 'NCHW' ? [1, plane] : [3, 1]
  for (let i = 0, at = 0; i < plane; i++) {
    for (let channel = 0; channel < 3; channel++, at++) {
      data[i * pixelStep + channel * channelStep] = numbers[(channel << 8) | image.data[at]]
    }
  }
  const dims = layout === 'NCHW' ? [1, 3, height, width] : [1, height, width, 3]
  return data instanceof Uint8Array ? new Tensor('uint8', data, dims) : new Tensor('float32', data, dims)
}

/** Scores become their arg-max at the input's size; a label map stays as it is. Labels that are no class are `IGNORE`. */
function toLabels(result: OrtTensor, input: Input, classes: number, file: string): LabelMap {
  const { dims, type, data } = result
  if (type === 'float32' && dims.length === 4 && dims[0] === 1 && dims[1] === classes) {
    const { width, height } = input
    return {
      width,
      height,
      data: argmaxUpsampled(data as Float32Array, classes, dims[2], dims[3], height, width),
    }
  }
  const isMap = dims[0] === 1 && (dims.length === 3 || (dims.length === 4 && dims[1] === 1))
  if (isMap && type !== 'string' && type !== 'float32') {
    const [height, width] = dims.slice(-2)
    const labels = data as ArrayLike<number | bigint>
    const bytes = Uint8Array.from({ length: width * height }, (_, i) => {
      const label = Number(labels[i])
      return label >= 0 && label < IGNORE ? label : IGNORE
    })
    return { width, height, data: bytes }
  }
  throw new UserError(
    `${file} gave ${type} [${dims.join(',')}]; a teacher gives float32 scores [1,${classes},h,w] for its ${classes} ` +
      'classes, or whole-number labels [1,h,w]',
  )
}
