import { makeNode, makeTensor, type NodeProto, type Student, type TensorProto } from '@kestrel/models'
import fc from 'fast-check'
import { graphStudent, integers, operatorStudent, scalar, weights } from './graphs.js'

/** `x`, what the nodes under test read, is [N,4,6,8]. */
const X = [4, 6, 8]

const axes = fc.constantFrom(1, 2, 3)
const flag = fc.boolean()
const small = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }))
const pads = (max: number) => fc.tuple(small(0, max), small(0, max)).map(pair => pair.flat())
const autoPad = fc.constantFrom('NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID')

const bias = (given: boolean, count: number) => (given ? [weights('bias', [count])] : [])

const conv = fc
  .record({
    kernel: small(1, 3),
    strides: small(1, 3),
    dilations: small(1, 2),
    pads: pads(2),
    autoPad,
    group: fc.constantFrom(1, 2, 4),
    perGroup: fc.constantFrom(1, 2),
    biased: flag,
  })
  .map(({ kernel, strides, dilations, pads, autoPad, group, perGroup, biased }) => {
    const outputs = group * perGroup + (group === 1 ? 1 : 0)
    return operatorStudent('Conv', {
      classes: outputs,
      initializers: [weights('weight', [outputs, 4 / group, ...kernel]), ...bias(biased, outputs)],
      attributes: {
        strides,
        // ONNX Runtime does not combine SAME with dilation.
        dilations: autoPad.startsWith('SAME') ? [1, 1] : dilations,
        group,
        ...(autoPad === 'NOTSET' ? { pads } : { auto_pad: autoPad }),
      },
    })
  })

const convTranspose = (targets: string[]) =>
  fc
    .record({
      kernel: small(1, 3),
      strides: small(1, 3),
      dilations: small(1, 2),
      pads: pads(1),
      extra: small(0, 1),
      group: fc.constantFrom(1, 2, 4),
      perGroup: fc.constantFrom(1, 2),
      biased: flag,
      target: fc.constantFrom(...targets),
      cropped: small(0, 2),
    })
    .map(({ kernel, strides, dilations, pads, extra, group, perGroup, biased, target, cropped }) => {
      const outputs = group * perGroup
      // output_padding has to be smaller than the stride or the dilation.
      const outputPadding = extra.map((value, i) => (value < strides[i] ? value : 0))
      // At most what the kernels reach: beyond that, ONNX Runtime returns memory that it never wrote.
      const outputShape = cropped.map((less, i) => {
        const reach = dilations[i] * (kernel[i] - 1) + 1
        return Math.max(1, strides[i] * (X[i + 1] - 1) + reach + outputPadding[i] - less)
      })
      const sizing: Record<string, number[] | string> =
        target === 'pads'
          ? { pads }
          : target === 'output_shape'
            ? { output_shape: outputShape }
            : { auto_pad: target }
      return operatorStudent('ConvTranspose', {
        classes: outputs,
        initializers: [weights('weight', [4, perGroup, ...kernel]), ...bias(biased, outputs)],
        attributes: { strides, dilations, group, output_padding: outputPadding, ...sizing },
      })
    })

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

const concat = axes.map(axis =>
  graphStudent({
    classes: axis === 1 ? 12 : 4,
    nodes: [
      makeNode('Sigmoid', ['x'], ['s']),
      makeNode('Concat', ['x', 's', 'x'], ['logits'], { axis: axis === 3 ? -1 : axis }),
    ],
  }),
)

const split = fc
  .record({ axis: axes, first: fc.integer({ min: 1, max: 3 }), even: flag, dropped: flag })
  .map(({ axis, first, even, dropped }) => {
    const size = X[axis - 1]
    const sizes = even ? [size / 2, size / 2] : [first, size - first]
    const kept = dropped ? ['b'] : ['b', 'a']
    return graphStudent({
      classes: axis === 1 ? (dropped ? sizes[1] : 4) : 4,
      nodes: [
        makeNode('Split', even ? ['x'] : ['x', 'sizes'], ['a', 'b'], { axis }),
        makeNode('Concat', kept, ['logits'], { axis }),
      ],
      initializers: even ? [] : [integers('sizes', sizes)],
    })
  })

const slice = fc
  .record({
    rows: fc.tuple(
      fc.integer({ min: -7, max: 2 }),
      fc.constantFrom(4, 6, -1, 2 ** 40),
      fc.constantFrom(1, 2),
    ),
    columns: fc.constantFrom([0, 8, 3], [-1, -(2 ** 40), -1], [7, 1, -2], [2, 100, 1], [-3, -1, 1]),
    channels: fc.constantFrom([0, 4], [1, 3], [-2, 2 ** 40]),
  })
  .filter(({ rows }) => rows[0] >= 0 || rows[0] < -5)
  .map(({ rows, columns, channels }) =>
    graphStudent({
      classes: channels[0] === 0 ? 4 : 2,
      nodes: [makeNode('Slice', ['x', 'starts', 'ends', 'axes', 'steps'], ['logits'])],
      initializers: [
        integers('starts', [rows[0], columns[0], channels[0]]),
        integers('ends', [rows[1], columns[1], channels[1]]),
        integers('axes', [2, -1, 1]),
        integers('steps', [rows[2], columns[2], 1]),
      ],
    }),
  )

const pad = fc
  .record({
    mode: fc.constantFrom('constant', 'edge', 'reflect'),
    before: small(0, 3),
    after: small(0, 3),
    crop: flag,
    value: fc.constantFrom<number | undefined>(undefined, 0.7),
  })
  .map(({ mode, before, after, crop, value }) => {
    const amounts = [0, 0, ...before, 0, 0, ...(crop && mode === 'constant' ? after.map(n => -n) : after)]
    return graphStudent({
      nodes: [
        makeNode('Pad', ['x', 'pads', ...(value === undefined ? [] : ['value'])], ['logits'], { mode }),
      ],
      initializers: [integers('pads', amounts), ...(value === undefined ? [] : [scalar('value', value)])],
    })
  })

const reshape = fc.constantFrom<number[]>([0, -1, 12, 2], [-1, 8, 4, 6], [0, 4, 8, 6]).map(shape =>
  graphStudent({
    classes: shape[1] === -1 ? 8 : shape[1],
    nodes: [makeNode('Reshape', ['x', 'shape'], ['logits'])],
    initializers: [integers('shape', shape)],
  }),
)

const transpose = fc
  .constantFrom<number[]>([0, 1, 3, 2], [0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1])
  .map(perm => operatorStudent('Transpose', { classes: X[perm[1] - 1], attributes: { perm } }))

const flatten = fc.constantFrom(0, 1, 2, 3, -1).map(axis =>
  graphStudent({
    nodes: [makeNode('Flatten', ['x'], ['f'], { axis }), makeNode('Reshape', ['f', 'shape'], ['logits'])],
    initializers: [integers('shape', [-1, ...X])],
  }),
)

const squeeze = fc.constantFrom(1, 2, -1).map(axis =>
  graphStudent({
    nodes: [
      makeNode('Unsqueeze', ['x', 'axes'], ['u']),
      makeNode('Relu', ['u'], ['r']),
      makeNode('Squeeze', ['r', 'axes'], ['logits']),
    ],
    initializers: [integers('axes', [axis])],
  }),
)

const pooling = (opType: string) =>
  fc
    .record({
      kernel: small(1, 3),
      strides: small(1, 3),
      pads: pads(2),
      dilations: small(1, 2),
      autoPad,
      ceil: flag,
      include: flag,
    })
    .map(({ kernel, strides, pads, dilations, autoPad, ceil, include }) =>
      operatorStudent(opType, {
        attributes: {
          kernel_shape: kernel,
          strides,
          // Padding has to be smaller than the kernel.
          ...(autoPad === 'NOTSET'
            ? { pads: pads.map((amount, i) => Math.min(amount, kernel[i % 2] - 1)), ceil_mode: ceil ? 1 : 0 }
            : { auto_pad: autoPad }),
          ...(opType === 'AveragePool'
            ? { count_include_pad: include ? 1 : 0 }
            : { dilations: autoPad.startsWith('SAME') ? [1, 1] : dilations }),
        },
      }),
    )

const reduceMean = fc
  .record({
    reduced: fc.constantFrom<number[]>([1], [2, 3], [-1], [1, 2, 3], [3, 1]),
    keep: flag,
    input: flag,
  })
  .map(({ reduced, keep, input }) => {
    const left = X.map((size, i) => (reduced.some(axis => (axis + 4) % 4 === i + 1) ? 1 : size))
    return graphStudent({
      classes: left[0],
      opset: input ? 18 : 17,
      nodes: [
        makeNode('ReduceMean', input ? ['x', 'axes'] : ['x'], ['m'], {
          ...(input ? {} : { axes: reduced }),
          keepdims: keep ? 1 : 0,
        }),
        makeNode('Reshape', ['m', 'shape'], ['logits']),
      ],
      initializers: [integers('shape', [-1, ...left]), ...(input ? [integers('axes', reduced)] : [])],
    })
  })

const resize = fc
  .record({
    mode: fc.constantFrom('nearest', 'linear'),
    coordinates: fc.constantFrom('half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'),
    rounding: fc.constantFrom('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'),
    size: fc.constantFrom([12, 16], [9, 13], [3, 4], [1, 8], [6, 5], [4, 20]),
    scales: fc.constantFrom<number[] | undefined>(undefined, [2, 2], [0.5, 1.5], [1.3, 0.7], [3, 1]),
  })
  .map(({ mode, coordinates, rounding, size, scales }) =>
    graphStudent({
      nodes: [
        makeNode('Resize', ['x', '', ...(scales ? ['scales'] : ['', 'sizes'])], ['logits'], {
          mode,
          coordinate_transformation_mode: coordinates,
          nearest_mode: rounding,
        }),
      ],
      initializers: scales
        ? [makeTensor('scales', [4], Float32Array.of(1, 1, ...scales))]
        : [integers('sizes', [2, 4, ...size])],
    }),
  )

const expand = fc.constantFrom<number[]>([1, 1, 6, 8], [6, 1], [3, 5], [2, 4, 1, 8]).map(shape =>
  graphStudent({
    nodes: [makeNode('GlobalAveragePool', ['x'], ['g']), makeNode('Expand', ['g', 'shape'], ['logits'])],
    initializers: [integers('shape', shape)],
  }),
)

const softmax = fc
  .record({ axis: fc.constantFrom(1, 2, 3, -1), opset: fc.constantFrom(11, 17) })
  .map(({ axis, opset }) => operatorStudent('Softmax', { opset, attributes: { axis } }))

const through = (opType: string, attributes: Record<string, number | { float: number }>) =>
  fc.constant(undefined).map(() => operatorStudent(opType, { attributes }))

/** The way exporters write "twice as large, then back to where it was": shapes that the graph works out itself. */
const shapeArithmetic = fc.constantFrom('floor', 'where', 'constant').map(kind => {
  const nodes: NodeProto[] = [
    makeNode('Shape', ['x'], ['dims']),
    makeNode('Gather', ['dims', 'two'], ['height']),
    makeNode('Gather', ['dims', 'minusOne'], ['width']),
  ]
  const initializers: TensorProto[] = [
    makeTensor('two', [], BigInt64Array.of(2n)),
    makeTensor('minusOne', [], BigInt64Array.of(-1n)),
    integers('zero', [0]),
  ]
  if (kind === 'floor') {
    nodes.push(
      makeNode('Constant', [], ['factor'], { value_float: { float: 1.5 } }),
      makeNode('Cast', ['height'], ['h.float'], { to: 1 }),
      makeNode('Mul', ['h.float', 'factor'], ['h.scaled']),
      makeNode('Floor', ['h.scaled'], ['h.floor']),
      makeNode('Cast', ['h.floor'], ['h.int'], { to: 7 }),
      makeNode('Unsqueeze', ['h.int', 'zero'], ['h']),
      makeNode('Unsqueeze', ['width', 'zero'], ['w']),
      makeNode('Slice', ['dims', 'zero', 'twoList'], ['nc']),
      makeNode('Concat', ['nc', 'h', 'w'], ['sizes'], { axis: 0 }),
      makeNode('Resize', ['x', '', '', 'sizes'], ['logits'], { mode: 'linear' }),
    )
    initializers.push(integers('twoList', [2]))
  } else if (kind === 'where') {
    nodes.push(
      makeNode('GlobalAveragePool', ['x'], ['g']),
      makeNode('Unsqueeze', ['height', 'zero'], ['h']),
      makeNode('Unsqueeze', ['width', 'zero'], ['w']),
      makeNode('Concat', ['minusOnes', 'h', 'w'], ['wanted'], { axis: 0 }),
      makeNode('Shape', ['wanted'], ['rank']),
      makeNode('ConstantOfShape', ['rank'], ['ones'], {
        value: makeTensor('one', [1], BigInt64Array.of(1n)),
      }),
      makeNode('Mul', ['ones', 'minusOne'], ['minus']),
      makeNode('Equal', ['wanted', 'minus'], ['is']),
      makeNode('Where', ['is', 'ones', 'wanted'], ['shape']),
      makeNode('Expand', ['g', 'shape'], ['logits']),
    )
    initializers.push(integers('minusOnes', [-1, -1]))
  } else {
    nodes.push(
      makeNode('Sub', ['width', 'height'], ['wider']),
      makeNode('Div', ['wider', 'two'], ['each']),
      makeNode('Unsqueeze', ['each', 'zero'], ['e']),
      makeNode('Concat', ['three', 'e', 'three', 'e'], ['pads'], { axis: 0 }),
      makeNode('Pad', ['x', 'pads'], ['padded']),
      makeNode('Constant', [], ['gain'], { value: weights('gain', [4, 1, 1], 0.2, 1) }),
      makeNode('Mul', ['padded', 'gain'], ['logits']),
    )
    initializers.push(integers('three', [0, 0, 0]))
  }
  return graphStudent({ nodes, initializers })
})

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

/** The other ways to tell a ConvTranspose its size. */
export const sizedConvTranspose = convTranspose(['output_shape', 'SAME_UPPER', 'SAME_LOWER', 'VALID'])
