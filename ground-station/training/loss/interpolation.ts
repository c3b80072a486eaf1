/** How Resize maps an output coordinate to an input coordinate (ONNX coordinate_transformation_mode). */
export type Coordinates = 'half_pixel' | 'pytorch_half_pixel' | 'align_corners' | 'asymmetric'

/** A linear map along one axis, [out,in] row by row. */
export interface AxisMap {
  out: number
  in: number
  /** [out,in] */
  weights: Float64Array
}

export function axisMap(out: number, from: number): AxisMap {
  return { out, in: from, weights: new Float64Array(out * from) }
}

/** The input coordinate that belongs to output index `i`; `ratio` is output size over input size. */
export function sourceCoordinate(
  mode: Coordinates,
  i: number,
  from: number,
  to: number,
  ratio: number,
): number {
  switch (mode) {
    case 'half_pixel':
      return (i + 0.5) / ratio - 0.5
    case 'pytorch_half_pixel':
      return to > 1 ? (i + 0.5) / ratio - 0.5 : 0
    case 'align_corners':
      return to > 1 ? (i * (from - 1)) / (to - 1) : 0
    case 'asymmetric':
      return i / ratio
  }
}

/** Linear interpolation along one axis, edges clamped: a row holds at most two weights, which add up to 1. */
export function linearMap(
  from: number,
  to: number,
  options: { mode?: Coordinates; ratio?: number } = {},
): AxisMap {
  const { mode = 'half_pixel', ratio = to / from } = options
  const map = axisMap(to, from)
  for (let i = 0; i < to; i++) {
    const at = Math.min(Math.max(sourceCoordinate(mode, i, from, to, ratio), 0), from - 1)
    const low = Math.min(Math.floor(at), from - 1)
    const high = Math.min(low + 1, from - 1)
    map.weights[i * from + low] += 1 - (at - low)
    map.weights[i * from + high] += at - low
  }
  return map
}
