import type { Student } from '@kestrel/models'
import { dependents, probe } from '../training/graph/probe.js'

/**
 * What one frame costs: floating-point operations of the convolutions and matrix products, a multiplication and an addition counted
 * as two. What the other operators add is small, and memory-bound.
 *
 * @returns operations for a batch of one at the student's input size
 */
export async function flopsPerFrame(student: Student): Promise<number> {
  const { graph, opsetImport } = student.proto
  const { name, height, width } = student.input
  const opsets = Object.fromEntries(opsetImport.map(({ domain, version }) => [domain, Number(version)]))
  const image = { name, dims: [1, 3, height, width] }
  const { shapes } = await probe(graph!, opsets, image, dependents(graph!, new Set([name])))
  shapes.set(name, image.dims)
  const initializers = new Map(graph!.initializer.map(({ name, dims }) => [name, dims.map(Number)]))
  const shapeOf = (value: string): number[] => shapes.get(value) ?? initializers.get(value) ?? []
  let products = 0
  for (const { opType, input, output } of graph!.node) {
    const [x, w, y] = [shapeOf(input[0]), shapeOf(input[1]), shapeOf(output[0])]
    // Weights are [out, in/groups, kernel…]: each output value sums over all but the first dimension.
    if (opType === 'Conv') products += size(y) * size(w.slice(1))
    // Weights are [in, out/groups, kernel…]: each input value is spread over all but the first dimension.
    else if (opType === 'ConvTranspose') products += size(x) * size(w.slice(1))
    else if (opType === 'MatMul' || opType === 'Gemm') products += size(y) * (x.at(-1) ?? 1)
  }
  return 2 * products
}

function size(dims: number[]): number {
  return dims.reduce((a, b) => a * b, 1)
}
