import { intsAttribute, type NodeProto, stringAttribute } from '@kestrel/models'
import { at, build, type Tensor } from './tensor.js'

/** Resize, by the formulas of the ONNX specification: for each output element the weights of input elements, axis by axis. */
export function resize(node: NodeProto, x: Tensor, scales?: Tensor, sizes?: Tensor): Tensor {
  const given = scales && scales.data.length > 0 ? [...scales.data] : undefined
  const dims = x.dims.map((dim, i) => (given ? Math.floor(dim * given[i]) : sizes!.data[i]))
  const taps = dims.map((to, i) =>
    Array.from({ length: to }, (_, k) => axisTaps(node, k, x.dims[i], to, given?.[i] ?? to / x.dims[i])),
  )
  return build(dims, index => {
    let total = 0
    const visit = (axis: number, from: number[], weight: number) => {
      if (weight === 0) return
      if (axis === dims.length) {
        total += weight * at(x, from)
        return
      }
      for (const [k, w] of taps[axis][index[axis]]) visit(axis + 1, [...from, k], weight * w)
    }
    visit(0, [], 1)
    return total
  })
}

function axisTaps(node: NodeProto, i: number, from: number, to: number, scale: number): [number, number][] {
  if (from === to && scale === 1) return [[i, 1]]
  const mode = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel')
  let x = (i + 0.5) / scale - 0.5
  if (mode === 'pytorch_half_pixel') x = to > 1 ? x : 0
  if (mode === 'align_corners') x = to === 1 ? 0 : (i * (from - 1)) / (to - 1)
  if (mode === 'asymmetric') x = i / scale
  const clamp = (k: number) => Math.min(Math.max(k, 0), from - 1)
  if (stringAttribute(node, 'mode', 'nearest') === 'linear') {
    const low = Math.floor(clamp(x))
    return [
      [low, 1 - (clamp(x) - low)],
      [clamp(low + 1), clamp(x) - low],
    ]
  }
  const rounding = stringAttribute(node, 'nearest_mode', 'round_prefer_floor')
  const half = x - Math.floor(x) === 0.5
  const nearest: Record<string, number> = {
    floor: Math.floor(x),
    ceil: Math.ceil(x),
    round_prefer_floor: half ? Math.floor(x) : Math.round(x),
    round_prefer_ceil: half ? Math.ceil(x) : Math.round(x),
  }
  return [[clamp(nearest[rounding]), 1]]
}

/** Pad: the element of x that each element of y shows, or the constant. */
export function pad(node: NodeProto, x: Tensor, pads: Tensor, value?: Tensor, axes?: Tensor): Tensor {
  const mode = stringAttribute(node, 'mode', 'constant')
  const rank = x.dims.length
  const touched = axes ? [...axes.data].map(axis => (axis + rank) % rank) : x.dims.map((_, i) => i)
  const before = x.dims.map((_, axis) => pads.data[touched.indexOf(axis)] ?? 0)
  const after = x.dims.map((_, axis) => pads.data[touched.indexOf(axis) + touched.length] ?? 0)
  const dims = x.dims.map((dim, i) => dim + before[i] + after[i])
  return build(dims, index => {
    let outside = false
    const from = index.map((k, axis) => {
      const dim = x.dims[axis]
      let i = k - before[axis]
      if (i >= 0 && i < dim) return i
      outside = true
      if (mode === 'edge') return Math.min(Math.max(i, 0), dim - 1)
      if (mode === 'wrap') return ((i % dim) + dim) % dim
      while (mode === 'reflect' && (i < 0 || i >= dim)) i = i < 0 ? -i : 2 * (dim - 1) - i
      return i
    })
    return outside && mode === 'constant' ? (value?.data[0] ?? 0) : at(x, from)
  })
}

export function slice(x: Tensor, starts: Tensor, ends: Tensor, axes?: Tensor, steps?: Tensor): Tensor {
  const rank = x.dims.length
  const dims = x.dims.slice()
  const first = dims.map(() => 0)
  const stride = dims.map(() => 1)
  for (let i = 0; i < starts.data.length; i++) {
    const axis = axes ? (axes.data[i] + rank) % rank : i
    const dim = x.dims[axis]
    const step = steps?.data[i] ?? 1
    const place = (k: number) => (k < 0 ? k + dim : k)
    const start = Math.min(Math.max(place(starts.data[i]), 0), step < 0 ? dim - 1 : dim)
    const end = Math.min(Math.max(place(ends.data[i]), step < 0 ? -1 : 0), dim)
    dims[axis] = Math.max(0, Math.ceil((end - start) / step))
    first[axis] = start
    stride[axis] = step
  }
  return build(dims, index =>
    at(
      x,
      index.map((k, axis) => first[axis] + k * stride[axis]),
    ),
  )
}

/** Attributes of older operator sets where newer ones have inputs. */
export function numbersOf(node: NodeProto, name: string, input: Tensor | undefined): number[] | undefined {
  if (input !== undefined) return [...input.data]
  const given = intsAttribute(node, name, [])
  return given.length > 0 ? given : undefined
}
