import type { Batch } from '@kestrel/ground-station'
import { type Student, tensorData } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import { dot, norm, referenceLoss } from '../../support/batches.js'
import { operators } from './operators.js'
import { build, reduce, type Tensor } from './tensor.js'

/** A student's logits in double precision. @param batchNorm 'batch' normalises with the batch's own statistics */
export function referenceLogits(
  student: Student,
  batch: Batch,
  parameters: Float64Array,
  batchNorm: 'frozen' | 'batch' = 'frozen',
): Tensor {
  const { proto, input, output } = student
  const opset = Number(proto.opsetImport.find(({ domain }) => domain === '')!.version)
  const values = new Map<string, Tensor>()
  for (const tensor of proto.graph!.initializer) {
    const { dims, data } = tensorData(tensor)
    values.set(tensor.name, { dims, data: Float64Array.from(data as ArrayLike<number | bigint>, Number) })
  }
  for (const { name, dims, offset, count } of student.parameters) {
    values.set(name, { dims, data: parameters.subarray(offset, offset + count) })
  }
  const dims = [batch.size, 3, input.height, input.width]
  values.set(input.name, { dims, data: Float64Array.from(batch.images) })
  for (const node of proto.graph!.node) {
    const inputs = node.input.map(name => values.get(name)) as Tensor[]
    if (node.opType === 'BatchNormalization' && batchNorm === 'batch') {
      const { mean, variance } = channelStatistics(inputs[0])
      inputs.splice(3, 2, mean, variance)
    }
    const results = operators[node.opType](node, inputs, opset)
    const tensors = Array.isArray(results) ? results : [results]
    tensors.forEach((tensor, i) => {
      if (node.output[i]) values.set(node.output[i], tensor)
    })
  }
  return values.get(output.name)!
}

/** Mean and population variance by channel. */
export function channelStatistics(x: Tensor): { mean: Tensor; variance: Tensor } {
  const axes = x.dims.map((_, i) => i).filter(i => i !== 1)
  const average = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length
  const vector = (f: (values: number[]) => number) => ({ ...reduce(x, axes, f), dims: [x.dims[1]] })
  return {
    mean: vector(average),
    variance: vector(values => average(values.map(value => (value - average(values)) ** 2))),
  }
}

/** The loss as training/engine.ts defines it. */
export function lossOf(
  student: Student,
  batch: Batch,
  parameters: Float64Array,
  batchNorm: 'frozen' | 'batch' = 'frozen',
): number {
  const logits = referenceLogits(student, batch, parameters, batchNorm)
  return referenceLoss(logits.data, logits.dims, batch)
}

/** Step of the central differences. In double precision their error is of the order of its square. */
const STEP = 1e-6

/**
 * Compares a gradient with central differences of the reference loss: along random directions within each tensor of
 * parameters, and over all of them.
 *
 * @returns the greatest error, relative to what the gradient's norm makes a random direction see
 */
export function gradientError(
  student: Student,
  batch: Batch,
  parameters: Float32Array,
  gradient: Float32Array,
  batchNorm: 'frozen' | 'batch' = 'frozen',
): number {
  const exact = Float64Array.from(parameters)
  const rng = createRng(`directions/${gradient.length}`)
  const whole = { offset: 0, count: gradient.length }
  let worst = 0
  for (const { offset, count } of [...student.parameters, whole, whole]) {
    const direction = build([gradient.length], ([i]) =>
      i >= offset && i < offset + count ? rng.normal() : 0,
    ).data
    const unit = direction.map(value => value / norm(direction))
    const moved = (step: number) => exact.map((value, i) => value + step * unit[i])
    const slope =
      (lossOf(student, batch, moved(STEP), batchNorm) - lossOf(student, batch, moved(-STEP), batchNorm)) /
      (2 * STEP)
    // In a direction at random, a gradient of this norm has a slope of about this size.
    const typical = norm(gradient.subarray(offset, offset + count)) / Math.sqrt(count)
    // Where it vanishes (softmax does not see what all classes share), the rounding of the others is what is left.
    const floor = 1e-4 + 1e-3 * norm(gradient)
    worst = Math.max(worst, Math.abs(slope - dot(gradient, unit)) / (typical + floor))
  }
  return worst
}
