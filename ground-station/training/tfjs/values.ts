import { TensorProto_DataType as DataType, type TensorProto, tensorData } from '@kestrel/models'
import type { Tensor } from '@tensorflow/tfjs-core'
import type { Tf } from './tensorflow.js'

const LARGEST = 2 ** 31 - 1

/**
 * A tensor with the content of an ONNX one. TensorFlow.js has no int64: values beyond int32, such as the "to the end" of
 * Slice, become the nearest int32.
 */
export function fromProto(tf: Tf, proto: TensorProto): Tensor {
  const { type, dims, data } = tensorData(proto)
  switch (type) {
    case DataType.FLOAT:
      // Copied: the original is a view into the model, and the backend may keep what it is given.
      return tf.tensor(Float32Array.from(data as Float32Array), dims, 'float32')
    case DataType.DOUBLE:
      return tf.tensor(Float32Array.from(data as Float64Array), dims, 'float32')
    case DataType.INT64:
    case DataType.INT32:
      return tf.tensor(Int32Array.from(data as ArrayLike<number | bigint>, toInt32), dims, 'int32')
    case DataType.BOOL:
      return tf.tensor(Uint8Array.from(data as Uint8Array), dims, 'bool')
    default:
      throw new Error(
        `tensor "${proto.name}" is ${DataType[type]}; known are FLOAT, DOUBLE, INT64, INT32 and BOOL`,
      )
  }
}

function toInt32(value: number | bigint): number {
  return Math.max(-LARGEST - 1, Math.min(LARGEST, Number(value)))
}
