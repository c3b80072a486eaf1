import { create } from '@bufbuild/protobuf'
import { TensorProto_DataType as DataType, type TensorProto, TensorProtoSchema } from './proto/onnx_pb.js'

export type TensorValues =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array

/** The content of an ONNX tensor. `data` may be a view into the model's bytes: do not write to it. */
export interface TensorData {
  type: DataType
  dims: number[]
  data: TensorValues
}

/** Most elements that a tensor may have here: 2^30 (4 GiB of float32), far beyond any student. */
const MAX_ELEMENTS = 2 ** 30

interface Layout {
  bytes: number
  view(buffer: ArrayBufferLike, byteOffset: number, length: number): TensorValues
  /** The values when they are not in raw_data but in the field that the standard names for the type. */
  typed(tensor: TensorProto): ArrayLike<number> | ArrayLike<bigint>
}

const layouts = new Map<DataType, Layout>([
  [DataType.FLOAT, { bytes: 4, view: (b, o, n) => new Float32Array(b, o, n), typed: t => t.floatData }],
  [DataType.DOUBLE, { bytes: 8, view: (b, o, n) => new Float64Array(b, o, n), typed: t => t.doubleData }],
  [DataType.INT64, { bytes: 8, view: (b, o, n) => new BigInt64Array(b, o, n), typed: t => t.int64Data }],
  [DataType.UINT64, { bytes: 8, view: (b, o, n) => new BigUint64Array(b, o, n), typed: t => t.uint64Data }],
  [
    DataType.UINT32,
    { bytes: 4, view: (b, o, n) => new Uint32Array(b, o, n), typed: t => t.uint64Data.map(Number) },
  ],
  [DataType.INT32, { bytes: 4, view: (b, o, n) => new Int32Array(b, o, n), typed: t => t.int32Data }],
  [DataType.INT16, { bytes: 2, view: (b, o, n) => new Int16Array(b, o, n), typed: t => t.int32Data }],
  [DataType.UINT16, { bytes: 2, view: (b, o, n) => new Uint16Array(b, o, n), typed: t => t.int32Data }],
  [DataType.FLOAT16, { bytes: 2, view: (b, o, n) => new Uint16Array(b, o, n), typed: t => t.int32Data }],
  [DataType.INT8, { bytes: 1, view: (b, o, n) => new Int8Array(b, o, n), typed: t => t.int32Data }],
  [DataType.UINT8, { bytes: 1, view: (b, o, n) => new Uint8Array(b, o, n), typed: t => t.int32Data }],
  [DataType.BOOL, { bytes: 1, view: (b, o, n) => new Uint8Array(b, o, n), typed: t => t.int32Data }],
])

/**
 * The dimensions of a tensor and their product.
 *
 * @throws RangeError where a dimension is negative or the product is beyond any model
 */
export function tensorShape(tensor: TensorProto): { dims: number[]; count: number } {
  let count = 1
  const dims = tensor.dims.map(Number)
  for (const dim of dims) {
    if (dim < 0) throw new RangeError(`tensor "${tensor.name}" has the dimension ${dim}`)
    count *= dim
    if (count > MAX_ELEMENTS) {
      throw new RangeError(`tensor "${tensor.name}" claims ${dims.join('x')} elements`)
    }
  }
  return { dims, count }
}

/** Bytes of one element of a type as stored in raw_data; undefined for strings and types we do not know. */
export function elementBytes(type: DataType): number | undefined {
  return layouts.get(type)?.bytes
}

/**
 * Reads a tensor wherever the file keeps its values. float16 comes as its bits (Uint16Array), bool as bytes.
 *
 * @throws RangeError where dimensions and data disagree, or the type is one without numbers
 */
export function tensorData(tensor: TensorProto): TensorData {
  const type = tensor.dataType as DataType
  const layout = layouts.get(type)
  if (layout === undefined) {
    throw new RangeError(`tensor "${tensor.name}" has the element type ${DataType[type] ?? type}`)
  }
  const { dims, count } = tensorShape(tensor)
  const raw = tensor.rawData
  const typed = raw.length > 0 || count === 0 ? [] : layout.typed(tensor)
  const found = typed.length > 0 ? typed.length : raw.length / layout.bytes
  if (found !== count) {
    throw new RangeError(
      `tensor "${tensor.name}" is ${dims.join('x') || 'a scalar'}: ${count} elements expected, ${found} found`,
    )
  }
  if (typed.length > 0) {
    const data = layout.view(new ArrayBuffer(count * layout.bytes), 0, count)
    for (let i = 0; i < count; i++) data[i] = typed[i]
    return { type, dims, data }
  }
  // Raw data starts at any byte of the file; a typed array cannot, so an unaligned one is copied.
  if (raw.byteOffset % layout.bytes === 0) {
    return { type, dims, data: layout.view(raw.buffer, raw.byteOffset, count) }
  }
  return { type, dims, data: layout.view(new Uint8Array(raw).buffer, 0, count) }
}

/** A tensor's values as plain numbers, for shapes, axes and scalars. */
export function tensorNumbers(tensor: TensorProto): number[] {
  return Array.from(tensorData(tensor).data as ArrayLike<number | bigint>, Number)
}

/**
 * A tensor of the type that the array tells: Float32Array → float, BigInt64Array → int64, Int32Array → int32,
 * Uint8Array → uint8, Float64Array → double.
 *
 * @param dims [] makes a scalar
 */
export function makeTensor(
  name: string,
  dims: number[],
  data: Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array,
): TensorProto {
  const count = dims.reduce((product, dim) => product * dim, 1)
  if (count !== data.length) {
    throw new RangeError(
      `tensor "${name}" is ${dims.join('x')}: ${count} elements expected, ${data.length} given`,
    )
  }
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: typeOf(data),
    rawData: new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)),
  })
}

function typeOf(data: TensorValues): DataType {
  if (data instanceof Float32Array) return DataType.FLOAT
  if (data instanceof Float64Array) return DataType.DOUBLE
  if (data instanceof BigInt64Array) return DataType.INT64
  if (data instanceof Int32Array) return DataType.INT32
  return DataType.UINT8
}
