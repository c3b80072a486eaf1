import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { messageOf, UserError } from '@kestrel/runtime/errors'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
} from './proto/onnx_pb.js'
import { elementBytes, tensorData, tensorShape } from './tensor.js'

/** An ONNX model and the bytes that it was read from. The data of its float initializers are views into `bytes`. */
export interface OnnxModel {
  bytes: Uint8Array
  proto: ModelProto
}

/** Larger files are refused unread. The limit of protobuf itself is 2 GiB; students have a few megabytes. */
export const MAX_MODEL_BYTES = 1 << 30

/**
 * Reads and checks an ONNX file. Where float initializers are stored as typed values instead of raw bytes, the
 * model is written anew once, so that afterwards every one of them is raw_data inside `bytes` and can be patched in place.
 *
 * @param source names the file in errors
 * @throws UserError when the bytes are no ONNX model, are cut, or lie about the size of a tensor
 */
export function readOnnx(bytes: Uint8Array, source: string): OnnxModel {
  if (bytes.length > MAX_MODEL_BYTES) {
    throw new UserError(`${source} has ${bytes.length} bytes; models up to ${MAX_MODEL_BYTES} bytes are read`)
  }
  // A Buffer's own `subarray` would make every tensor a Buffer; a plain view of the same memory does not.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  const proto = parse(plain, source)
  const initializers = proto.graph?.initializer ?? []
  checkInitializers(initializers, source)
  const typed = initializers.filter(
    tensor => tensor.dataType === DataType.FLOAT && tensor.floatData.length > 0,
  )
  if (typed.length === 0) return { bytes: plain, proto }
  for (const tensor of typed) {
    const { data } = tensorData(tensor)
    tensor.rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    tensor.floatData = []
  }
  return readOnnx(writeOnnx(proto), source)
}

/** The bytes of a model. */
export function writeOnnx(proto: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, proto)
}

/** Where the raw data of a tensor lie within the bytes of its model. */
export function rawOffset(model: OnnxModel, tensor: TensorProto): number {
  const { rawData } = tensor
  const offset = rawData.byteOffset - model.bytes.byteOffset
  if (rawData.buffer !== model.bytes.buffer || offset < 0 || offset + rawData.length > model.bytes.length) {
    throw new Error(`The data of tensor "${tensor.name}" are not inside the model's bytes`)
  }
  return offset
}

function parse(bytes: Uint8Array, source: string): ModelProto {
  let proto: ModelProto
  try {
    proto = fromBinary(ModelProtoSchema, bytes)
  } catch (cause) {
    throw new UserError(
      `${source} is not a complete ONNX model (${messageOf(cause)}); copy or export it again`,
      { cause },
    )
  }
  const missing =
    proto.irVersion <= 0n
      ? 'an IR version'
      : proto.graph === undefined
        ? 'a graph'
        : proto.graph.node.length === 0
          ? 'any node'
          : proto.graph.output.length === 0
            ? 'an output'
            : undefined
  if (missing !== undefined) {
    throw new UserError(`${source} is not an ONNX model: it has no sign of ${missing}; expected a .onnx file`)
  }
  return proto
}

function checkInitializers(initializers: TensorProto[], source: string): void {
  const names = new Set<string>()
  for (const tensor of initializers) {
    const fail = (what: string): never => {
      throw new UserError(`${source} is a damaged ONNX model: ${what}; export it again`)
    }
    if (names.has(tensor.name)) fail(`two initializers are called "${tensor.name}"`)
    names.add(tensor.name)
    if (tensor.dataLocation === DataLocation.EXTERNAL || tensor.externalData.length > 0) {
      throw new UserError(
        `${source} keeps the initializer "${tensor.name}" in another file; ` +
          'export the model as one file (onnx.save(model, path, save_as_external_data=False))',
      )
    }
    const size = elementBytes(tensor.dataType)
    try {
      const { dims, count } = tensorShape(tensor)
      if (size !== undefined && tensor.rawData.length > 0 && tensor.rawData.length !== count * size) {
        fail(
          `initializer "${tensor.name}" of ${dims.join('x')} needs ${count * size} bytes, it has ${tensor.rawData.length}`,
        )
      }
      if (
        tensor.dataType === DataType.FLOAT &&
        tensor.rawData.length === 0 &&
        tensor.floatData.length !== count
      ) {
        fail(`initializer "${tensor.name}" needs ${count} values, it has ${tensor.floatData.length}`)
      }
    } catch (error) {
      if (error instanceof RangeError) fail(error.message)
      throw error
    }
  }
}
