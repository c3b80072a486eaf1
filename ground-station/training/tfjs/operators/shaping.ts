import {
  TensorProto_DataType as DataType,
  intAttribute,
  intsAttribute,
  tensorAttribute,
} from '@kestrel/models'
import { axis, integers, numbers, type Operator, product } from '../operator.js'
import { fromProto } from '../values.js'
import { broadcast, broadcastShape } from './arithmetic.js'

/** Reshape: −1 stands for what is left, 0 for the size that the axis has (unless allowzero). */
export const reshape: Operator = ({ tf }, node, [x, shape]) => {
  const zero = intAttribute(node, 'allowzero', 0) === 1
  const given = integers(node, shape, 'shape')!
  return tf.reshape(
    x!,
    given.map((size, i) => (size === 0 && !zero ? x!.shape[i] : size)),
  )
}

export const flatten: Operator = ({ tf }, node, [x]) => {
  const at = axis(intAttribute(node, 'axis', 1), x!.rank)
  return tf.reshape(x!, [product(x!.shape.slice(0, at)), product(x!.shape.slice(at))])
}

export const squeeze: Operator = ({ tf }, node, [x, axes]) => {
  const dropped = integers(node, axes, 'axes')?.map(at => axis(at, x!.rank))
  return tf.reshape(
    x!,
    x!.shape.filter((size, i) => !(dropped?.includes(i) ?? size === 1)),
  )
}

export const unsqueeze: Operator = ({ tf }, node, [x, axes]) => {
  const given = integers(node, axes, 'axes')!
  const rank = x!.rank + given.length
  const added = given.map(at => axis(at, rank))
  const sizes = [...x!.shape]
  return tf.reshape(
    x!,
    Array.from({ length: rank }, (_, i) => (added.includes(i) ? 1 : sizes.shift()!)),
  )
}

export const transpose: Operator = ({ tf }, node, [x]) => {
  const reversed = x!.shape.map((_, i) => x!.rank - 1 - i)
  return tf.transpose(x!, intsAttribute(node, 'perm', reversed))
}

export const expand: Operator = ({ tf }, _node, [x, shape]) =>
  broadcast(tf, x!, broadcastShape(x!.shape, numbers(shape!)))

export const shape: Operator = ({ tf }, node, [x]) => {
  const [start, end] = [intAttribute(node, 'start', 0), intAttribute(node, 'end', x!.rank)]
  return tf.tensor1d(x!.shape.slice(start, end), 'int32')
}

export const size: Operator = ({ tf }, _node, [x]) => tf.scalar(x!.size, 'int32')

export const constant: Operator = ({ tf }, node) => {
  const value = tensorAttribute(node, 'value')
  if (value !== undefined) return fromProto(tf, value)
  const [only] = node.attribute
  switch (only?.name) {
    case 'value_float':
      return tf.scalar(only.f)
    case 'value_floats':
      return tf.tensor1d(only.floats)
    case 'value_int':
      return tf.scalar(Number(only.i), 'int32')
    case 'value_ints':
      return tf.tensor1d(only.ints.map(Number), 'int32')
    default:
      throw new Error(`it holds a ${only?.name ?? 'nothing'}, which is no number`)
  }
}

export const constantOfShape: Operator = ({ tf }, node, [shape]) => {
  const proto = tensorAttribute(node, 'value')
  const value = proto === undefined ? tf.scalar(0) : fromProto(tf, proto)
  return tf.fill(numbers(shape!), value.dataSync()[0], value.dtype as 'float32')
}

export const cast: Operator = ({ tf }, node, [x]) => {
  const type = intAttribute(node, 'to', DataType.FLOAT) as DataType
  switch (type) {
    case DataType.FLOAT:
      return tf.cast(x!, 'float32')
    case DataType.INT64:
    case DataType.INT32:
      return tf.cast(x!, 'int32')
    case DataType.BOOL:
      return tf.cast(x!, 'bool')
    default:
      throw new Error(`it casts to ${DataType[type] ?? type}; known are FLOAT, INT64, INT32 and BOOL`)
  }
}

export const range: Operator = ({ tf }, _node, inputs) => {
  const [start, limit, delta] = inputs.map(input => input!.dataSync()[0])
  const count = Math.max(0, Math.ceil((limit - start) / delta))
  const values = Array.from({ length: count }, (_, i) => start + i * delta)
  return tf.tensor1d(values, inputs[0]!.dtype as 'int32')
}
