import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  applyUpdate,
  buildDeepLab,
  encodeUpdate,
  loadStudent,
  readParameters,
  readStudentFile,
  type Student,
  type UpdateCodec,
} from '@kestrel/models'
import { createRng, sampleWithoutReplacement } from '@kestrel/runtime'

/** γ, K and α of the paper. */
const FRACTION = 0.05
const ITERATIONS = 20
const ALPHA = 1e-3
/** What a session keeps of each movement unless told otherwise. */
const MOVEMENT_BITS = 4
/** Phases before the one that is measured, so that Adam's moments and the selection are those of a flight under way. */
const PHASES = 3
const REPEATS = 5

interface Update {
  base: Float32Array
  indices: Uint32Array
  values: Float32Array
}

interface Row {
  codec: UpdateCodec
  /** Bits of each movement that are kept; all without it. */
  movementBits?: number
  bytes: number
  bitsPerValue: number
  ratioToEntropy: number
  encodeMs: number
  decodeMs: number
}

/**
 * Sizes and speeds of the update codecs, against the entropy of the mask plus 16 bits a value (what a format without
 * knowledge of the weights needs at least).
 */
export async function benchCodec(): Promise<void> {
  const built = buildDeepLab({ classes: Array.from({ length: 11 }, (_, i) => `class ${i}`), seed: 1 })
  const students = [loadStudent(built, { source: 'DeepLabV3-MobileNetV2 x1.0, untrained' })]
  const shared = join(import.meta.dirname, '../../../shared/models/student-camvid11.onnx')
  if (existsSync(shared)) students.push(readStudentFile(shared))
  const results = students.map(student => {
    const update = simulateFlight(student)
    const entropy = entropyBytes(update)
    const rows = [
      measure(update, entropy, { codec: 'paper' }),
      measure(update, entropy, { codec: 'delta' }),
      measure(update, entropy, { codec: 'delta', movementBits: MOVEMENT_BITS }),
    ]
    print(student.source, update, entropy, rows)
    return {
      student: student.source,
      parameters: student.parameterCount,
      entropyBytes: entropy,
      codecs: rows,
    }
  })
  console.log(JSON.stringify({ bench: 'codec', fraction: FRACTION, results }))
}

/** H(γ) for each parameter, and 16 bits for each value that is sent; in bytes. */
function entropyBytes({ base, indices }: Update): number {
  const p = indices.length / base.length
  const mask = base.length * (-p * Math.log2(p) - (1 - p) * Math.log2(1 - p))
  return Math.round((mask + 16 * indices.length) / 8)
}

function measure(update: Update, entropy: number, how: { codec: UpdateCodec; movementBits?: number }): Row {
  const encode = () => encodeUpdate({ ...how, baseVersion: 1, version: 2, ...update })
  const { bytes } = encode()
  const apply = () => applyUpdate(bytes, { version: 1, parameters: update.base })
  return {
    ...how,
    bytes: bytes.length,
    bitsPerValue: (8 * bytes.length) / update.indices.length,
    ratioToEntropy: bytes.length / entropy,
    encodeMs: medianMs(encode),
    decodeMs: medianMs(apply),
  }
}

function medianMs(action: () => unknown): number {
  const times = Array.from({ length: REPEATS }, () => {
    const start = performance.now()
    action()
    return performance.now() - start
  })
  return times.sort((a, b) => a - b)[Math.floor(REPEATS / 2)]
}

function print(source: string, update: Update, entropy: number, rows: Row[]): void {
  console.log(
    `${source}: ${update.indices.length} of ${update.base.length} parameters, entropy ${entropy} bytes`,
  )
  console.log('codec             bytes   bits/value   of entropy   encode ms   decode ms')
  for (const row of rows) {
    console.log(
      `${row.codec}${row.movementBits === undefined ? '' : `, ${row.movementBits} bits`}`.padEnd(13) +
        String(row.bytes).padStart(10) +
        row.bitsPerValue.toFixed(2).padStart(13) +
        `${(100 * row.ratioToEntropy).toFixed(1)} %`.padStart(13) +
        row.encodeMs.toFixed(0).padStart(12) +
        row.decodeMs.toFixed(0).padStart(12),
    )
  }
  console.log()
}

/**
 * The last update of a few phases of AMS (DESIGN.md section 3) on gradients that are drawn instead of computed: each has a steady part,
 * shared in part by the parameters of a filter, that turns as the scene changes from phase to phase, under three times as much noise from the batch.
 */
export function simulateFlight(student: Student): Update {
  const rng = createRng('bench/codec')
  const parameterCount = student.parameterCount
  const parameters = readParameters(student)
  const count = Math.round(FRACTION * parameterCount)
  const steady = new Float32Array(parameterCount)
  const noise = new Float32Array(parameterCount)
  const m = new Float32Array(parameterCount)
  const v = new Float32Array(parameterCount)
  const u = new Float32Array(parameterCount)
  let indices = sampleWithoutReplacement(parameterCount, count, rng)
  let flown: Float32Array = parameters.slice()
  let iteration = 0
  for (let phase = 0; phase <= PHASES; phase++) {
    drawGradients(student, steady, noise, rng.float)
    for (let k = 0; k < ITERATIONS; k++) {
      iteration++
      const rate = (ALPHA * Math.sqrt(1 - 0.999 ** iteration)) / (1 - 0.9 ** iteration)
      for (let i = 0; i < parameterCount; i++) {
        const g = steady[i] + noise[i] * 3.4 * (2 * rng.float() - 1)
        m[i] += 0.1 * (g - m[i])
        v[i] += 0.001 * (g * g - v[i])
        u[i] = (rate * m[i]) / Math.sqrt(v[i] + 1e-8)
      }
      for (const i of indices) parameters[i] -= u[i]
    }
    const values = Float32Array.from(indices, i => parameters[i])
    if (phase === PHASES) return { base: flown, indices, values }
    flown = encodeUpdate({
      codec: 'delta',
      baseVersion: 0,
      version: 1,
      base: flown,
      indices,
      values,
    }).parameters
    parameters.set(flown)
    indices = largest(u, count)
  }
  throw new Error('unreachable')
}

/** A gradient for each parameter: `steady` turns by half a phase, `noise` is the deviation of one batch. */
function drawGradients(
  student: Student,
  steady: Float32Array,
  noise: Float32Array,
  random: () => number,
): void {
  const normal = () => 2 * (random() + random() + random() - 1.5)
  for (const { dims, offset, count } of student.parameters) {
    const layer = 10 ** (-3 + normal())
    const filters = dims[0]
    const perFilter = count / filters
    for (let filter = 0; filter < filters; filter++) {
      const strength = layer * 2 ** normal()
      const common = normal()
      for (let i = offset + filter * perFilter; i < offset + (filter + 1) * perFilter; i++) {
        steady[i] = 0.5 * steady[i] + strength * (0.4 * common + 0.6 * normal())
        noise[i] = strength
      }
    }
  }
}

/** The `count` coordinates with the largest |u|, ascending. */
function largest(u: Float32Array, count: number): Uint32Array {
  const threshold = u.map(Math.abs).sort()[u.length - count]
  const chosen: number[] = []
  for (let i = 0; i < u.length && chosen.length < count; i++) if (Math.abs(u[i]) >= threshold) chosen.push(i)
  return Uint32Array.from(chosen)
}
