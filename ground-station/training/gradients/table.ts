import { add } from './add.js'
import { clip } from './clip.js'
import { concat } from './concat.js'
import { conv, convForward } from './conv.js'
import { div } from './div.js'
import { expand } from './expand.js'
import { globalAveragePool } from './global-average-pool.js'
import { identity } from './identity.js'
import { mul } from './mul.js'
import { reduceMean } from './reduce-mean.js'
import { relu } from './relu.js'
import { reshape } from './reshape.js'
import type { Operator } from './rule.js'
import { sub } from './sub.js'
import { transpose } from './transpose.js'

/** The operators that can be trained through, by ONNX name. A new one is a file with its rule, and a line here. */
export const operators: Record<string, Operator> = {
  Add: { backward: add },
  Cast: { backward: identity },
  Clip: { backward: clip },
  Concat: { backward: concat },
  Conv: { forward: convForward, backward: conv },
  Div: { backward: div },
  Dropout: { backward: identity },
  Expand: { backward: expand },
  Flatten: { backward: reshape },
  GlobalAveragePool: { backward: globalAveragePool },
  Identity: { backward: identity },
  Mul: { backward: mul },
  ReduceMean: { backward: reduceMean },
  Relu: { backward: relu },
  Reshape: { backward: reshape },
  Squeeze: { backward: reshape },
  Sub: { backward: sub },
  Transpose: { backward: transpose },
  Unsqueeze: { backward: reshape },
}
