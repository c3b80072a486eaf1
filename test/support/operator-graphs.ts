import { makeNode, makeTensor, type NodeProto, type Student } from '@kestrel/models'
import fc from 'fast-check'
import { graphStudent, integers, operatorStudent, scalar, weights } from './graphs.js'
import { shapeArithmetic } from './shape-arithmetic.js'
import {
  concat,
  expand,
  flatten,
  pad,
  reduceMean,
  reshape,
  slice,
  split,
  squeeze,
  transpose,
} from './shape-graphs.js'
import { conv, convTranspose, pooling, resize } from './window-graphs.js'

const flag = fc.boolean()

const batchNormalization = fc.constantFrom(1e-5, 1e-3, 0.1).map(epsilon =>
  operatorStudent('BatchNormalization', {
    initializers: [
      weights('scale', [4], 0.3, 1),
      weights('shift', [4]),
      weights('mean', [4]),
      makeTensor('variance', [4], Float32Array.of(0.5, 1, 2, 0.1)),
    ],
    attributes: { epsilon: { float: epsilon } },
  }),
)

const gemm = fc
  .record({
    transA: flag,
    transB: flag,
    alpha: fc.constantFrom(1, 0.5, -2),
    beta: fc.constantFrom(1, 0.5, 3),
    c: fc.constantFrom<number[] | undefined>(undefined, [5], [1], [1, 5], []),
  })
  .map(({ transA, transB, alpha, beta, c }) =>
    graphStudent({
      classes: 5,
      nodes: [
        makeNode('Flatten', ['x'], ['rows']),
        makeNode('Transpose', ['rows'], ['columns'], { perm: [1, 0] }),
        makeNode('Gemm', [transA ? 'columns' : 'rows', 'b', ...(c ? ['c'] : [])], ['y'], {
          transA: transA ? 1 : 0,
          transB: transB ? 1 : 0,
          alpha: { float: alpha },
          beta: { float: beta },
        }),
        makeNode('Reshape', ['y', 'shape'], ['logits']),
      ],
      initializers: [
        weights('b', transB ? [5, 192] : [192, 5], 0.1),
        ...(c ? [weights('c', c)] : []),
        integers('shape', [-1, 5, 1, 1]),
      ],
    }),
  )

const matMul = fc.constantFrom('right', 'left', 'batched', 'vector', 'both', 'biased').map(kind => {
  const weight: Record<string, number[]> = {
    right: [8, 5],
    left: [5, 6],
    batched: [4, 8, 5],
    vector: [8],
    biased: [8, 5],
  }
  const nodes: Record<string, NodeProto[]> = {
    right: [makeNode('MatMul', ['x', 'w'], ['logits'])],
    left: [makeNode('MatMul', ['w', 'x'], ['logits'])],
    batched: [makeNode('MatMul', ['x', 'w'], ['logits'])],
    vector: [makeNode('MatMul', ['x', 'w'], ['y']), makeNode('Unsqueeze', ['y', 'last'], ['logits'])],
    both: [
      makeNode('Transpose', ['x'], ['xt'], { perm: [0, 1, 3, 2] }),
      makeNode('MatMul', ['x', 'xt'], ['logits']),
    ],
    biased: [makeNode('MatMul', ['x', 'w'], ['y']), makeNode('Add', ['y', 'b'], ['logits'])],
  }
  const initializers = [
    ...(weight[kind] ? [weights('w', weight[kind])] : []),
    ...(kind === 'biased' ? [weights('b', [5])] : []),
    ...(kind === 'vector' ? [integers('last', [-1])] : []),
  ]
  return graphStudent({ nodes: nodes[kind], initializers })
})

/** Element-wise operators, with broadcasting on either side; the second operand stays away from 0. */
const arithmetic = (opType: string) =>
  fc
    .record({
      other: fc.constantFrom('full', 'pooled', 'rows', 'itself', [], [8], [6, 1], [4, 1, 1], [1, 4, 6, 8]),
      swapped: flag,
    })
    .map(({ other, swapped }) => {
      const shape = Array.isArray(other) ? other : undefined
      const second = shape !== undefined ? 'c' : other === 'itself' ? 'positive' : String(other)
      const first = other === 'itself' ? 'positive' : 'x'
      return graphStudent({
        nodes: [
          makeNode('Sigmoid', ['x'], ['between']),
          makeNode('Add', ['between', 'half'], ['positive']),
          makeNode('Clip', ['positive'], ['full']),
          makeNode('GlobalAveragePool', ['positive'], ['pooled']),
          makeNode('ReduceMean', ['positive'], ['rows'], { axes: [3], keepdims: 1 }),
          // Swapped, a quotient would have x below the line.
          ...(swapped && opType !== 'Div'
            ? [makeNode(opType, [second, first], ['logits'])]
            : [makeNode(opType, [first, second], ['logits'])]),
        ],
        initializers: [scalar('half', 0.5), ...(shape ? [weights('c', shape, 0.2, 1.5)] : [])],
      })
    })

const clip = fc
  .record({
    low: fc.constantFrom<number | undefined>(undefined, -0.5, 0),
    high: fc.constantFrom<number | undefined>(undefined, 0.4, 6),
    attributes: flag,
  })
  .map(({ low, high, attributes }) => {
    const named = { ...(low !== undefined && { min: low }), ...(high !== undefined && { max: high }) }
    if (attributes) {
      const floats = Object.fromEntries(Object.entries(named).map(([key, float]) => [key, { float }]))
      return operatorStudent('Clip', { opset: 10, attributes: floats })
    }
    return graphStudent({
      nodes: [
        makeNode(
          'Clip',
          ['x', low === undefined ? '' : 'min', ...(high === undefined ? [] : ['max'])],
          ['logits'],
        ),
      ],
      initializers: Object.entries(named).map(([name, value]) => scalar(name, value)),
    })
  })

const slope = fc.constantFrom<number[]>([1], [8], [4, 1, 1], [4, 6, 8], [1, 4, 1, 1])

const softmax = fc
  .record({ axis: fc.constantFrom(1, 2, 3, -1), opset: fc.constantFrom(11, 17) })
  .map(({ axis, opset }) => operatorStudent('Softmax', { opset, attributes: { axis } }))

const through = (opType: string, attributes: Record<string, number | { float: number }>) =>
  fc.constant(undefined).map(() => operatorStudent(opType, { attributes }))

/** Students around each operator that is trained through, over the combinations of its attributes. */
export const operatorGraphs: Record<string, fc.Arbitrary<Student>> = {
  Conv: conv,
  ConvTranspose: convTranspose(['pads']),
  BatchNormalization: batchNormalization,
  Gemm: gemm,
  MatMul: matMul,
  Add: arithmetic('Add'),
  Sub: arithmetic('Sub'),
  Mul: arithmetic('Mul'),
  Div: arithmetic('Div'),
  Relu: through('Relu', {}),
  Clip: clip,
  LeakyRelu: fc
    .constantFrom(0.01, 0.3)
    .map(float => operatorStudent('LeakyRelu', { attributes: { alpha: { float } } })),
  PRelu: slope.map(dims => operatorStudent('PRelu', { initializers: [weights('slope', dims)] })),
  Sigmoid: through('Sigmoid', {}),
  HardSigmoid: fc
    .constantFrom([0.2, 0.5], [1, 0.1])
    .map(([alpha, beta]) =>
      operatorStudent('HardSigmoid', { attributes: { alpha: { float: alpha }, beta: { float: beta } } }),
    ),
  HardSwish: through('HardSwish', {}),
  Softmax: softmax,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Reshape: reshape,
  Transpose: transpose,
  Flatten: flatten,
  Squeeze: squeeze,
  GlobalAveragePool: through('GlobalAveragePool', {}),
  AveragePool: pooling('AveragePool'),
  MaxPool: pooling('MaxPool'),
  ReduceMean: reduceMean,
  Resize: resize,
  Expand: expand,
  Identity: through('Identity', {}),
  Dropout: through('Dropout', {}),
  Cast: through('Cast', { to: 1 }),
  'shape arithmetic': shapeArithmetic,
}
