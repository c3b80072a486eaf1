import {
  attribute,
  floatAttribute,
  intAttribute,
  intsAttribute,
  type NodeProto,
  tensorAttribute,
  tensorData,
} from '@kestrel/models'
import { numbersOf, pad, resize, slice } from './resize.js'
import {
  at,
  broadcastDims,
  build,
  combine,
  map,
  mean,
  reduce,
  size,
  spread,
  sum,
  type Tensor,
} from './tensor.js'
import { averagePool, conv, convTranspose, maxPool } from './windows.js'

type Compute = (node: NodeProto, inputs: Tensor[], opset: number) => Tensor | Tensor[]

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high)
const normal = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis)
const unary =
  (f: (value: number) => number): Compute =>
  (_node, [x]) =>
    map(x, f)
const binary =
  (f: (a: number, b: number) => number): Compute =>
  (_node, [a, b]) =>
    combine(a, b, f)

function reshape({ data }: Tensor, dims: number[]): Tensor {
  const known = dims.filter(dim => dim !== -1)
  return { data, dims: dims.map(dim => (dim === -1 ? data.length / size(known) : dim)) }
}

function matmul(a: Tensor, b: Tensor): Tensor {
  const left = a.dims.length === 1 ? [1, ...a.dims] : a.dims
  const right = b.dims.length === 1 ? [...b.dims, 1] : b.dims
  const [m, k] = left.slice(-2)
  const n = right[right.length - 1]
  const dims = [...broadcastDims(left.slice(0, -2), right.slice(0, -2)), m, n]
  const y = build(dims, index => {
    const [row, column] = index.slice(-2)
    const lead = index.slice(0, -2)
    let total = 0
    for (let i = 0; i < k; i++) {
      total +=
        spreadMatrix({ ...a, dims: left }, lead, row, i) *
        spreadMatrix({ ...b, dims: right }, lead, i, column)
    }
    return total
  })
  if (a.dims.length === 1) dims.splice(-2, 1)
  if (b.dims.length === 1) dims.splice(-1, 1)
  return { data: y.data, dims }
}

function spreadMatrix(x: Tensor, lead: number[], row: number, column: number): number {
  const own = x.dims.length - 2
  const index = x.dims.slice(0, -2).map((dim, i) => (dim === 1 ? 0 : lead[lead.length - own + i]))
  return at(x, [...index, row, column])
}

function gemm(node: NodeProto, [a, b, c]: Tensor[]): Tensor {
  const flip = (x: Tensor) => build([x.dims[1], x.dims[0]], ([i, j]) => at(x, [j, i]))
  const product = matmul(
    intAttribute(node, 'transA', 0) ? flip(a) : a,
    intAttribute(node, 'transB', 0) ? flip(b) : b,
  )
  const scaled = map(product, value => value * floatAttribute(node, 'alpha', 1))
  return c ? combine(scaled, c, (y, z) => y + z * floatAttribute(node, 'beta', 1)) : scaled
}

function softmax(node: NodeProto, [x]: Tensor[], opset: number): Tensor {
  const rank = x.dims.length
  const axis = normal(intAttribute(node, 'axis', opset < 13 ? 1 : -1), rank)
  const axes = x.dims.map((_, i) => i).filter(i => i === axis || (opset < 13 && i > axis))
  const exponentials = map(x, Math.exp)
  const total = reduce(exponentials, axes, sum)
  return combine(exponentials, total, (a, b) => a / b)
}

function batchNormalization(node: NodeProto, [x, scale, shift, mean, variance]: Tensor[]): Tensor {
  const epsilon = floatAttribute(node, 'epsilon', 1e-5)
  return build(x.dims, index => {
    const c = index[1]
    const normalised = (at(x, index) - mean.data[c]) / Math.sqrt(variance.data[c] + epsilon)
    return normalised * scale.data[c] + shift.data[c]
  })
}

function concat(node: NodeProto, parts: Tensor[]): Tensor {
  const axis = normal(intAttribute(node, 'axis', 0), parts[0].dims.length)
  const dims = parts[0].dims.slice()
  dims[axis] = sum(parts.map(part => part.dims[axis]))
  return build(dims, index => {
    let i = index[axis]
    for (const part of parts) {
      if (i < part.dims[axis]) return at(part, index.with(axis, i))
      i -= part.dims[axis]
    }
    return Number.NaN
  })
}

function split(node: NodeProto, [x, given]: Tensor[]): Tensor[] {
  const axis = normal(intAttribute(node, 'axis', 0), x.dims.length)
  const even = node.output.map(() => x.dims[axis] / node.output.length)
  let start = 0
  return (numbersOf(node, 'split', given) ?? even).map(length => {
    const from = start
    start += length
    return build(x.dims.with(axis, length), index => at(x, index.with(axis, index[axis] + from)))
  })
}

function reduceMean(node: NodeProto, [x, given]: Tensor[]): Tensor {
  const axes = numbersOf(node, 'axes', given)?.map(axis => normal(axis, x.dims.length))
  const all = axes ?? x.dims.map((_, i) => i)
  const reduced = reduce(x, all, mean)
  if (intAttribute(node, 'keepdims', 1) === 1) return reduced
  return { data: reduced.data, dims: reduced.dims.filter((_, i) => !all.includes(i)) }
}

function unsqueeze(node: NodeProto, [x, given]: Tensor[]): Tensor {
  const axes = numbersOf(node, 'axes', given)!
  const rank = x.dims.length + axes.length
  const dims = x.dims.slice()
  for (const axis of axes.map(value => normal(value, rank)).sort((a, b) => a - b)) dims.splice(axis, 0, 1)
  return { data: x.data, dims }
}

function squeeze(node: NodeProto, [x, given]: Tensor[]): Tensor {
  const axes = numbersOf(node, 'axes', given)?.map(axis => normal(axis, x.dims.length))
  return { data: x.data, dims: x.dims.filter((dim, i) => (axes ? !axes.includes(i) : dim !== 1)) }
}

function gather(node: NodeProto, [x, indices]: Tensor[]): Tensor {
  const axis = normal(intAttribute(node, 'axis', 0), x.dims.length)
  const dims = [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)]
  return build(dims, index => {
    const picked = at(indices, index.slice(axis, axis + indices.dims.length))
    const from = [...index.slice(0, axis), normal(picked, x.dims[axis])]
    return at(x, [...from, ...index.slice(axis + indices.dims.length)])
  })
}

function constant(node: NodeProto): Tensor {
  const tensor = tensorAttribute(node, 'value')
  if (tensor) {
    const { dims, data } = tensorData(tensor)
    return { dims, data: Float64Array.from(data as ArrayLike<number | bigint>, Number) }
  }
  if (attribute(node, 'value_float')) return build([], () => floatAttribute(node, 'value_float', 0))
  const ints = intsAttribute(node, 'value_ints', [])
  return build([ints.length], ([i]) => ints[i])
}

/** ONNX operators in double precision, as their specification words them; made for being obviously right, not for speed. */
export const operators: Record<string, Compute> = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b) => a / b),
  Relu: unary(x => Math.max(x, 0)),
  Sigmoid: unary(x => 1 / (1 + Math.exp(-x))),
  Sqrt: unary(Math.sqrt),
  Floor: unary(Math.floor),
  Equal: binary((a, b) => (a === b ? 1 : 0)),
  HardSwish: unary(x => x * clamp(x / 6 + 0.5, 0, 1)),
  HardSigmoid: (node, [x]) =>
    map(x, v => clamp(floatAttribute(node, 'alpha', 0.2) * v + floatAttribute(node, 'beta', 0.5), 0, 1)),
  LeakyRelu: (node, [x]) => map(x, v => (v > 0 ? v : floatAttribute(node, 'alpha', 0.01) * v)),
  PRelu: binary((x, slope) => (x > 0 ? x : slope * x)),
  Clip: (node, [x, low, high]) =>
    map(x, v =>
      clamp(
        v,
        low?.data[0] ?? floatAttribute(node, 'min', Number.NEGATIVE_INFINITY),
        high?.data[0] ?? floatAttribute(node, 'max', Number.POSITIVE_INFINITY),
      ),
    ),
  Softmax: softmax,
  Conv: (node, [x, w, b]) => conv(node, x, w, b),
  ConvTranspose: (node, [x, w, b]) => convTranspose(node, x, w, b),
  MaxPool: (node, [x]) => maxPool(node, x),
  AveragePool: (node, [x], opset) => averagePool(node, x, opset),
  GlobalAveragePool: (_node, [x]) =>
    reduce(
      x,
      x.dims.map((_, i) => i).filter(i => i > 1),
      mean,
    ),
  BatchNormalization: batchNormalization,
  Gemm: gemm,
  MatMul: (_node, [a, b]) => matmul(a, b),
  ReduceMean: reduceMean,
  Resize: (node, [x, , scales, sizes]) => resize(node, x, scales, sizes),
  Pad: (node, [x, pads, value, axes]) => pad(node, x, pads, value, axes),
  Slice: (_node, [x, starts, ends, axes, steps]) => slice(x, starts, ends, axes, steps),
  Concat: concat,
  Split: split,
  Transpose: (node, [x]) => {
    const perm = intsAttribute(node, 'perm', x.dims.map((_, i) => i).reverse())
    return build(
      perm.map(axis => x.dims[axis]),
      index =>
        at(
          x,
          perm.map((_, axis) => index[perm.indexOf(axis)]),
        ),
    )
  },
  Reshape: (_node, [x, shape]) =>
    reshape(
      x,
      [...shape.data].map((dim, i) => (dim === 0 ? x.dims[i] : dim)),
    ),
  Flatten: (node, [x]) => {
    const axis = normal(intAttribute(node, 'axis', 1), x.dims.length)
    return reshape(x, [size(x.dims.slice(0, axis)), size(x.dims.slice(axis))])
  },
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Expand: (_node, [x, shape]) => build(broadcastDims(x.dims, [...shape.data]), index => spread(x, index)),
  Where: (_node, [c, a, b]) =>
    build(broadcastDims(c.dims, a.dims, b.dims), i => (spread(c, i) ? spread(a, i) : spread(b, i))),
  Identity: (_node, [x]) => x,
  Dropout: (_node, [x]) => x,
  // Between floats and integers; none of the tests rounds.
  Cast: (_node, [x]) => x,
  Constant: constant,
  ConstantOfShape: (node, [shape]) => {
    const value = tensorAttribute(node, 'value')
    return build([...shape.data], () => (value ? Number(tensorData(value).data[0]) : 0))
  },
  Shape: (_node, [x]) => build([x.dims.length], ([i]) => x.dims[i]),
  Gather: gather,
}
