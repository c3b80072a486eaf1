/** A tensor in double precision. */
export interface Tensor {
  dims: number[]
  data: Float64Array
}

export function size(dims: number[]): number {
  return dims.reduce((a, b) => a * b, 1)
}

/** A tensor whose element at each index is what `value` says. */
export function build(dims: number[], value: (index: number[]) => number): Tensor {
  const data = new Float64Array(size(dims))
  const index = dims.map(() => 0)
  for (let i = 0; i < data.length; i++) {
    data[i] = value(index)
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      if (++index[axis] < dims[axis]) break
      index[axis] = 0
    }
  }
  return { dims, data }
}

export function at({ dims, data }: Tensor, index: number[]): number {
  let offset = 0
  for (let axis = 0; axis < dims.length; axis++) offset = offset * dims[axis] + index[axis]
  return data[offset]
}

export function map(x: Tensor, f: (value: number) => number): Tensor {
  return { dims: x.dims, data: x.data.map(f) }
}

/** The element of a tensor that broadcasts to a larger shape. */
export function spread(x: Tensor, index: number[]): number {
  const lead = index.length - x.dims.length
  return at(
    x,
    x.dims.map((dim, i) => (dim === 1 ? 0 : index[i + lead])),
  )
}

export function broadcastDims(...shapes: number[][]): number[] {
  const rank = Math.max(...shapes.map(dims => dims.length))
  return Array.from({ length: rank }, (_, i) =>
    shapes.map(dims => dims[dims.length - rank + i] ?? 1).reduce((a, b) => (a === 1 ? b : a)),
  )
}

export function combine(a: Tensor, b: Tensor, f: (a: number, b: number) => number): Tensor {
  return build(broadcastDims(a.dims, b.dims), index => f(spread(a, index), spread(b, index)))
}

/** f of all elements along some axes, which stay with size 1. */
export function reduce(x: Tensor, axes: number[], f: (values: number[]) => number): Tensor {
  const groups = new Map<number, number[]>()
  const dims = x.dims.map((dim, i) => (axes.includes(i) ? 1 : dim))
  let i = 0
  build(x.dims, index => {
    let key = 0
    for (let axis = 0; axis < dims.length; axis++) {
      key = key * dims[axis] + (dims[axis] === 1 ? 0 : index[axis])
    }
    const group = groups.get(key)
    if (group) group.push(x.data[i])
    else groups.set(key, [x.data[i]])
    i++
    return 0
  })
  return { dims, data: Float64Array.from({ length: size(dims) }, (_, key) => f(groups.get(key)!)) }
}

export const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)
export const mean = (values: number[]) => sum(values) / values.length
