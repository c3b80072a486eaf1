import type { Student } from '@kestrel/models'
import type { EngineOptions, TrainingEngine } from './engine.js'
import { createOnnxEngine } from './onnx-engine.js'

/**
 * An engine that trains a student.
 *
 * @throws UserError where the student holds an operator that cannot be trained through
 */
export async function createEngine(student: Student, options: EngineOptions = {}): Promise<TrainingEngine> {
  if (options.engine !== 'tfjs') return createOnnxEngine(student, options)
  // Loaded on demand: it is large, and an option.
  const { createTfjsEngine } = await import('./tfjs/tfjs-engine.js')
  return createTfjsEngine(student, options)
}
