import type { Camera, Frame } from '@kestrel/agent'
import {
  encodeUpdate,
  loadStudent,
  type RgbImage,
  readParameters,
  type Student,
  type UpdateCodec,
  withParameters,
  writeOnnx,
} from '@kestrel/models'
import { createRng, type Log } from '@kestrel/runtime'
import { tinyModel } from '../support/students.js'

export const tinySize = { width: 24, height: 16 }

/** A student small enough that a test may load it hundreds of times; it sees all of its classes in noise. */
export function tinyStudent(seed = 2): Student {
  const student = loadStudent(writeOnnx(tinyModel(tinySize)), { source: 'tiny.onnx' })
  const rng = createRng(`${seed}/tiny`)
  const parameters = readParameters(student).map(() => rng.normal())
  return loadStudent(withParameters(student, parameters), { source: 'tiny.onnx' })
}

/** A picture of noise over a slope. */
export function testImage(seed: number | string, width = tinySize.width, height = tinySize.height): RgbImage {
  const rng = createRng(`${seed}/image`)
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i / height + rng.int(128)) & 255)
  return { width, height, data }
}

/** The ground's end of a chain of updates. */
export function updateChain(student: Student, options: { codec?: UpdateCodec; share?: number } = {}) {
  const { codec = 'delta', share = 0.05 } = options
  const rng = createRng('chain')
  const state = { version: 0, parameters: readParameters(student), digest: new Uint8Array() }
  const step = Math.round(1 / share)
  return {
    state,
    /** The next update: a share of the weights moves a little. */
    next(scale = 0.01): Uint8Array {
      const first = rng.int(step)
      const count = Math.floor((student.parameterCount - first - 1) / step) + 1
      const indices = Uint32Array.from({ length: count }, (_, i) => first + i * step)
      const values = Float32Array.from(indices, i => state.parameters[i] + scale * rng.normal())
      const version = state.version + 1
      const { bytes, parameters, digest } = encodeUpdate({
        codec,
        baseVersion: state.version,
        version,
        base: state.parameters,
        indices,
        values,
      })
      Object.assign(state, { version, parameters, digest })
      return bytes
    },
  }
}

/** A camera that gives the frames it is handed, as fast as they are asked for. */
export function listCamera(frames: Frame[]): Camera {
  let next = 0
  return {
    description: 'a list',
    fps: 10,
    width: frames[0].image.width,
    height: frames[0].image.height,
    dropped: 0,
    async start() {},
    async stop() {},
    async next(signal) {
      await new Promise(resolve => setImmediate(resolve))
      return signal?.aborted ? undefined : frames[next++]
    },
  }
}

/** A log that keeps its lines. */
export function keptLog(): Log & { lines: string[] } {
  const lines: string[] = []
  const write = (level: string) => (message: string) => void lines.push(`${level}: ${message}`)
  const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const kept: Log & { lines: string[] } = { ...log, lines, child: () => kept }
  return kept
}
