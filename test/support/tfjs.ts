import type { Student } from '@kestrel/models'
import { silentLog } from '@kestrel/runtime'
import type * as InterpreterModule from '../../ground-station/training/tfjs/interpreter.js'
import type * as TensorFlowModule from '../../ground-station/training/tfjs/tensorflow.js'
import type * as EngineModule from '../../ground-station/training/tfjs/tfjs-engine.js'

/** Modules of the TensorFlow.js engine that are not part of the room's public face. */
async function internal<T>(name: string): Promise<T> {
  const url = new URL(`../../../ground-station/dist/training/tfjs/${name}.js`, import.meta.url)
  return (await import(url.href)) as T
}

export const { Interpreter } = await internal<typeof InterpreterModule>('interpreter')
export const { createTfjsEngine } = await internal<typeof EngineModule>('tfjs-engine')
export const { loadTensorFlow } = await internal<typeof TensorFlowModule>('tensorflow')

export const { tf } = await loadTensorFlow({ log: silentLog })

/** A student's logits by the interpreter, and their shape. */
export function interpret(
  student: Student,
  image: Float32Array,
  batch: number,
  parameters: Float32Array,
): { data: Float32Array; dims: number[] } {
  const { height, width } = student.input
  const interpreter = new Interpreter(student, { tf, batchNorm: 'frozen', observe() {} })
  try {
    return tf.tidy(() => {
      const values = student.parameters.map(({ name, dims, offset, count }) => {
        return [name, tf.tensor(parameters.slice(offset, offset + count), dims)] as const
      })
      const logits = interpreter.logits(tf.tensor(image, [batch, 3, height, width]), new Map(values))
      return { data: logits.dataSync() as Float32Array, dims: logits.shape }
    })
  } finally {
    interpreter.dispose()
  }
}
