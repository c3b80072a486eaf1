import { type Log, UserError } from '@kestrel/runtime'
import { openLabelFolder } from './labels.js'
import { openOnnxTeacher } from './onnx.js'
import type { Teacher } from './teacher.js'

/**
 * Opens a teacher.
 *
 * @param spec `labels:DIR`, a folder of label PNGs with a classes.json, `labels:sim:SCENARIO`, the exact labels of a
 *   simulated flight, or FILE.onnx with FILE.json beside it; a model that `pretrain` wrote says all itself
 * @param options.studentClasses names of the student's classes; the teacher's labels are mapped to them by name
 * @param options.threads that an ONNX teacher computes with; 0 leaves it to ONNX Runtime (one for each physical core)
 * @throws UserError that names the file, what is wrong with it and what belongs there
 */
export async function openTeacher(
  spec: string,
  options: { studentClasses: string[]; threads?: number; log: Log },
): Promise<Teacher> {
  if (spec.startsWith('labels:sim:')) {
    // Whoever flies over real ground need not load the simulator.
    const { openSimLabels } = await import('./sim.js')
    return openSimLabels(spec.slice('labels:'.length), options)
  }
  if (spec.startsWith('labels:')) return openLabelFolder(spec.slice('labels:'.length), options)
  if (spec.toLowerCase().endsWith('.onnx')) return openOnnxTeacher(spec, options)
  throw new UserError(`The teacher is "${spec}": expected labels:DIR (a folder of label PNGs) or FILE.onnx`)
}
