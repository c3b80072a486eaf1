import { add } from './add.js'
import { averagePool, averagePoolForward } from './average-pool.js'
import { batchNormalization, batchNormalizationForward, batchStatistics } from './batch-normalization.js'
import { clip } from './clip.js'
import { concat } from './concat.js'
import { conv, convForward } from './conv.js'
import { convTranspose } from './conv-transpose.js'
import { div } from './div.js'
import { expand } from './expand.js'
import { gemm } from './gemm.js'
import { globalAveragePool } from './global-average-pool.js'
import { hardSigmoid } from './hard-sigmoid.js'
import { hardSwish } from './hard-swish.js'
import { identity } from './identity.js'
import { leakyRelu } from './leaky-relu.js'
import { matmul } from './matmul.js'
import { maxPool, maxPoolForward } from './max-pool.js'
import { mul } from './mul.js'
import { pad } from './pad.js'
import { prelu } from './prelu.js'
import { reduceMean } from './reduce-mean.js'
import { relu } from './relu.js'
import { reshape } from './reshape.js'
import { resize } from './resize.js'
import type { Operator } from './rule.js'
import { sigmoid } from './sigmoid.js'
import { slice } from './slice.js'
import { softmax } from './softmax.js'
import { split } from './split.js'
import { sub } from './sub.js'
import { transpose } from './transpose.js'

/** The operators that can be trained through, by ONNX name. A new one is a file with its rule, and a line here. */
export const operators: Record<string, Operator> = {
  Add: { backward: add },
  AveragePool: { forward: averagePoolForward, backward: averagePool },
  BatchNormalization: {
    forward: batchNormalizationForward,
    backward: batchNormalization,
    statistics: batchStatistics,
  },
  Cast: { backward: identity },
  Clip: { backward: clip },
  Concat: { backward: concat },
  Conv: { forward: convForward, backward: conv },
  ConvTranspose: { backward: convTranspose },
  Div: { backward: div },
  Dropout: { backward: identity },
  Expand: { backward: expand },
  Flatten: { backward: reshape },
  Gemm: { backward: gemm },
  GlobalAveragePool: { forward: averagePoolForward, backward: globalAveragePool },
  HardSigmoid: { backward: hardSigmoid },
  HardSwish: { backward: hardSwish },
  Identity: { backward: identity },
  LeakyRelu: { backward: leakyRelu },
  MatMul: { backward: matmul },
  MaxPool: { forward: maxPoolForward, backward: maxPool },
  Mul: { backward: mul },
  PRelu: { backward: prelu },
  Pad: { backward: pad },
  ReduceMean: { backward: reduceMean },
  Relu: { backward: relu },
  Reshape: { backward: reshape },
  Resize: { backward: resize },
  Sigmoid: { backward: sigmoid },
  Slice: { backward: slice },
  Softmax: { backward: softmax },
  Split: { backward: split },
  Squeeze: { backward: reshape },
  Sub: { backward: sub },
  Transpose: { backward: transpose },
  Unsqueeze: { backward: reshape },
}
