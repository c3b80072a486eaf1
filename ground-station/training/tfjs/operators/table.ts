import type { Operator } from '../operator.js'
import { clip, hardSigmoid, hardSwish, leakyRelu, prelu, relu, sigmoid, softmax } from './activation.js'
import * as arithmetic from './arithmetic.js'
import { conv, convTranspose } from './convolution.js'
import { gemm, matMul } from './linear.js'
import { batchNormalization } from './normalisation.js'
import { averagePool, globalAveragePool, maxPool } from './pooling.js'
import { reduceMean, reduceProd, reduceSum } from './reduction.js'
import { resize } from './resize.js'
import * as shaping from './shaping.js'
import { concat, gather, pad, slice, split } from './slicing.js'

/** The operators that can be computed and trained through, by ONNX name. A new one is a function, and a line here. */
export const operators: Record<string, Operator> = {
  Add: arithmetic.add,
  AveragePool: averagePool,
  BatchNormalization: batchNormalization,
  Cast: shaping.cast,
  Clip: clip,
  Concat: concat,
  Constant: shaping.constant,
  Conv: conv,
  ConvTranspose: convTranspose,
  Div: arithmetic.div,
  // In inference, as a student runs in flight, nothing is dropped.
  Dropout: arithmetic.identity,
  Expand: shaping.expand,
  Flatten: shaping.flatten,
  Gemm: gemm,
  GlobalAveragePool: globalAveragePool,
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  Identity: arithmetic.identity,
  LeakyRelu: leakyRelu,
  MatMul: matMul,
  MaxPool: maxPool,
  Mul: arithmetic.mul,
  PRelu: prelu,
  Pad: pad,
  ReduceMean: reduceMean,
  Relu: relu,
  Reshape: shaping.reshape,
  Resize: resize,
  Sigmoid: sigmoid,
  Slice: slice,
  Softmax: softmax,
  Split: split,
  Squeeze: shaping.squeeze,
  Sub: arithmetic.sub,
  Transpose: shaping.transpose,
  Unsqueeze: shaping.unsqueeze,

  // Shape arithmetic.
  And: arithmetic.and,
  Ceil: arithmetic.ceil,
  ConstantOfShape: shaping.constantOfShape,
  Equal: arithmetic.equal,
  Floor: arithmetic.floor,
  Gather: gather,
  Greater: arithmetic.greater,
  Less: arithmetic.less,
  Max: arithmetic.max,
  Min: arithmetic.min,
  Mod: arithmetic.mod,
  Neg: arithmetic.neg,
  Not: arithmetic.not,
  Or: arithmetic.or,
  Range: shaping.range,
  ReduceProd: reduceProd,
  ReduceSum: reduceSum,
  Shape: shaping.shape,
  Size: shaping.size,
  Where: arithmetic.where,
}
