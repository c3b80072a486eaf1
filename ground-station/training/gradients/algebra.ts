import type { AttributeValue } from '@kestrel/models'
import type { Emitter } from '../graph/emitter.js'

/** The shape of an element-wise operation on two values (ONNX multidirectional broadcasting). */
export function broadcast(a: number[], b: number[]): number[] {
  const rank = Math.max(a.length, b.length)
  const at = (dims: number[], i: number) => dims[i - rank + dims.length] ?? 1
  return Array.from({ length: rank }, (_, i) => (at(a, i) === 1 ? at(b, i) : at(a, i)))
}

function elementwise(opType: string) {
  return (graph: Emitter, a: string, b: string): string =>
    graph.emit(opType, [a, b], broadcast(graph.shapeOf(a), graph.shapeOf(b)))
}

export const add = elementwise('Add')
export const sub = elementwise('Sub')
export const mul = elementwise('Mul')
export const div = elementwise('Div')

/** An operation on one value that keeps its shape. */
export function map(
  graph: Emitter,
  opType: string,
  x: string,
  attributes: Record<string, AttributeValue> = {},
): string {
  return graph.emit(opType, [x], graph.shapeOf(x), attributes)
}

/** x times a number. */
export function scale(graph: Emitter, x: string, factor: number): string {
  return factor === 1 ? x : mul(graph, x, graph.scalar(factor))
}

export function size(dims: number[]): number {
  return dims.reduce((product, dim) => product * dim, 1)
}

export function sameDims(a: number[], b: number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i])
}

export function reshape(graph: Emitter, x: string, dims: number[]): string {
  if (sameDims(graph.shapeOf(x), dims)) return x
  return graph.emit('Reshape', [x, graph.ints(dims)], dims)
}

export function transpose(graph: Emitter, x: string, perm: number[]): string {
  if (perm.every((axis, i) => axis === i)) return x
  const dims = graph.shapeOf(x)
  return graph.emit(
    'Transpose',
    [x],
    perm.map(axis => dims[axis]),
    { perm },
  )
}

/** Σ over axes; they stay with size 1 where `keep`. */
export function reduceSum(graph: Emitter, x: string, axes: number[], keep = false): string {
  if (axes.length === 0) return x
  const dims = graph.shapeOf(x)
  const reduced = dims.map((dim, i) => (axes.includes(i) ? 1 : dim))
  const kept = dims.filter((_, i) => !axes.includes(i))
  // A sum over single elements is a matter of shape.
  if (axes.every(axis => dims[axis] === 1)) return reshape(graph, x, keep ? reduced : kept)
  return graph.emit('ReduceSum', [x, graph.ints(axes)], keep ? reduced : kept, { keepdims: keep ? 1 : 0 })
}

/** The adjoint of broadcasting: sums `x` down to the shape `dims`. */
export function sumTo(graph: Emitter, x: string, dims: number[]): string {
  const from = graph.shapeOf(x)
  const lead = from.length - dims.length
  const axes = from.map((_, i) => i).filter(i => i < lead || (dims[i - lead] === 1 && from[i] !== 1))
  return reshape(graph, reduceSum(graph, x, axes), dims)
}

/** The matrix product of the last two axes, the leading ones broadcast; either factor may be transposed. */
export function matmul(
  graph: Emitter,
  a: string,
  b: string,
  options: { transA?: boolean; transB?: boolean } = {},
): string {
  const { transA = false, transB = false } = options
  const swapped = (x: string, swap: boolean) => {
    const dims = graph.shapeOf(x)
    return swap ? [...dims.slice(0, -2), dims[dims.length - 1], dims[dims.length - 2]] : dims
  }
  const left = swapped(a, transA)
  const right = swapped(b, transB)
  const batch = broadcast(left.slice(0, -2), right.slice(0, -2))
  const dims = [...batch, left[left.length - 2], right[right.length - 1]]
  if (!transA && !transB) return graph.emit('MatMul', [a, b], dims)
  if (graph.dialect.fusedMatMul) {
    const attributes = { transA: Number(transA), transB: Number(transB) }
    return graph.emit('FusedMatMul', [a, b], dims, attributes, 'com.microsoft')
  }
  const plain = (x: string, swap: boolean) => (swap ? swapLast(graph, x) : x)
  return graph.emit('MatMul', [plain(a, transA), plain(b, transB)], dims)
}

/** Exchanges the last two axes. */
export function swapLast(graph: Emitter, x: string): string {
  const axes = graph.shapeOf(x).map((_, i) => i)
  const [row, column] = axes.splice(-2)
  return transpose(graph, x, [...axes, column, row])
}

/** Part of a value: along each of `axes` from `starts` in steps of `steps`, `sizes` elements. */
export function slice(
  graph: Emitter,
  x: string,
  axes: number[],
  starts: number[],
  sizes: number[],
  steps: number[] = axes.map(() => 1),
): string {
  const dims = graph.shapeOf(x)
  if (axes.every((axis, i) => starts[i] === 0 && sizes[i] === dims[axis] && steps[i] === 1)) return x
  const out = dims.slice()
  axes.forEach((axis, i) => {
    out[axis] = sizes[i]
  })
  const ends = starts.map((start, i) => start + (sizes[i] - 1) * steps[i] + 1)
  const inputs = [x, graph.ints(starts), graph.ints(ends), graph.ints(axes)]
  if (steps.some(step => step !== 1)) inputs.push(graph.ints(steps))
  return graph.emit('Slice', inputs, out)
}

/** Zeros around a value: `before` and `after` on every axis. */
export function padZeros(graph: Emitter, x: string, before: number[], after: number[]): string {
  if ([...before, ...after].every(count => count === 0)) return x
  const dims = graph.shapeOf(x).map((dim, i) => dim + before[i] + after[i])
  return graph.emit('Pad', [x, graph.ints([...before, ...after])], dims)
}

export function concat(graph: Emitter, values: string[], axis: number): string {
  if (values.length === 1) return values[0]
  const dims = graph.shapeOf(values[0]).slice()
  dims[axis] = values.reduce((sum, value) => sum + graph.shapeOf(value)[axis], 0)
  return graph.emit('Concat', values, dims, { axis })
}
