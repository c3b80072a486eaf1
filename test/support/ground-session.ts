import {
  createEngine,
  GroundSession,
  type OutgoingUpdate,
  type PartialSessionOptions,
  type SessionInit,
  type TrainingEngine,
} from '@kestrel/ground-station'
import { applyUpdate, parameterDigest, readParameters } from '@kestrel/models'
import { silentLog, VirtualClock } from '@kestrel/runtime'
import t from 'tap'
import { colourTeacher, tinyStudent, worldSegment } from './ground.js'

export const student = tinyStudent()
export const shipped = readParameters(student)
export const engine = await createEngine(student, { threads: 1 })
t.teardown(() => engine.dispose())

/** Quick: the student was never trained. */
const eager: PartialSessionOptions = {
  fraction: 0.3,
  alpha: 5e-3,
  iterations: 10,
  batchSize: 4,
  // The quickest of the codecs.
  codec: 'paper',
  // In steps as large as these some swaps are for the worse; going back has tests of its own.
  rollBack: { enabled: false },
}

export function createSession(init: Partial<SessionInit> = {}) {
  const clock = new VirtualClock()
  const session = new GroundSession({
    student,
    engine,
    teacher: colourTeacher(),
    clock,
    threads: 1,
    log: silentLog,
    ...init,
    options: { ...eager, ...init.options },
  })
  return { session, clock }
}

/** The engine, with something done to each of its calls. */
export function engineWith(lossAndGradient: TrainingEngine['lossAndGradient']): TrainingEngine {
  return { name: 'onnx', provider: 'cpu', lossAndGradient, dispose: async () => {} }
}

/** What the agent does with an update. */
export class Replica {
  version = 0
  parameters = shipped

  get digest(): Uint8Array {
    return parameterDigest(this.parameters)
  }

  apply(update: OutgoingUpdate) {
    const { version, parameters } = applyUpdate(update.bytes, this)
    this.version = version
    this.parameters = parameters
    return { version, applied: true, digest: this.digest }
  }

  report() {
    return { version: this.version, digest: this.digest }
  }
}

/** Bit by bit, and without tap's comparison of 300,000 elements one by one. */
export function identical(a: Float32Array | Uint8Array, b: Float32Array | Uint8Array): boolean {
  const bytes = (array: Float32Array | Uint8Array) =>
    Buffer.from(array.buffer, array.byteOffset, array.byteLength)
  return bytes(a).equals(bytes(b))
}

export const SEGMENT = 6
export const segments = await Promise.all([0, 1, 2, 3].map(i => worldSegment(i * SEGMENT, SEGMENT)))
