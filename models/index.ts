export * from './attributes.js'
export { buildDeepLab, type DeepLabOptions } from './build.js'
export {
  type ClassList,
  type Colour,
  checkClassList,
  defaultPalette,
  MAX_CLASSES,
  mapClasses,
  readClassList,
} from './classes.js'
export { ConfusionMatrix } from './confusion.js'
export {
  type Dimension,
  fedInputs,
  type ModelOptions,
  makeModel,
  makeValueInfo,
  metadataOf,
  nodeLabel,
  valueShape,
} from './graph.js'
export { IGNORE, type LabelMap, type RgbImage, resizeLabels, toPlanar } from './image.js'
export { MAX_MODEL_BYTES, type OnnxModel, readOnnx, writeOnnx } from './onnx.js'
export type { ParameterRole, ParameterTensor } from './parameters.js'
export * from './proto/onnx_pb.js'
export { StudentRunner } from './runner.js'
export {
  loadStudent,
  parameterDigest,
  patchParameters,
  readModelFile,
  readParameters,
  readStudentFile,
  type Student,
  withParameters,
} from './student.js'
export {
  elementBytes,
  makeTensor,
  type TensorData,
  type TensorValues,
  tensorData,
  tensorNumbers,
  tensorShape,
} from './tensor.js'
export { halfValues, isFiniteHalf, toHalf } from './update/half.js'
export { readUpdateHeader, type UpdateCodec, type UpdateHeader } from './update/header.js'
export { type RefusalReason, UpdateRefused } from './update/refused.js'
export { applyUpdate, type EncodeUpdateOptions, encodeUpdate } from './update.js'
export { argmaxUpsampled } from './upsample.js'
