import { makeNode } from '@kestrel/models'
import fc from 'fast-check'
import { graphStudent, integers, operatorStudent, scalar } from './graphs.js'

/** `x`, which the nodes under test read, is [N,4,6,8]. */
const X = [4, 6, 8]

const axes = fc.constantFrom(1, 2, 3)
const flag = fc.boolean()
const small = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }))

export const concat = axes.map(axis =>
  graphStudent({
    classes: axis === 1 ? 12 : 4,
    nodes: [
      makeNode('Sigmoid', ['x'], ['s']),
      makeNode('Concat', ['x', 's', 'x'], ['logits'], { axis: axis === 3 ? -1 : axis }),
    ],
  }),
)

export const split = fc
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

export const slice = fc
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

export const pad = fc
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

export const reshape = fc.constantFrom<number[]>([0, -1, 12, 2], [-1, 8, 4, 6], [0, 4, 8, 6]).map(shape =>
  graphStudent({
    classes: shape[1] === -1 ? 8 : shape[1],
    nodes: [makeNode('Reshape', ['x', 'shape'], ['logits'])],
    initializers: [integers('shape', shape)],
  }),
)

export const transpose = fc
  .constantFrom<number[]>([0, 1, 3, 2], [0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1])
  .map(perm => operatorStudent('Transpose', { classes: X[perm[1] - 1], attributes: { perm } }))

export const flatten = fc.constantFrom(0, 1, 2, 3, -1).map(axis =>
  graphStudent({
    nodes: [makeNode('Flatten', ['x'], ['f'], { axis }), makeNode('Reshape', ['f', 'shape'], ['logits'])],
    initializers: [integers('shape', [-1, ...X])],
  }),
)

export const squeeze = fc.constantFrom(1, 2, -1).map(axis =>
  graphStudent({
    nodes: [
      makeNode('Unsqueeze', ['x', 'axes'], ['u']),
      makeNode('Relu', ['u'], ['r']),
      makeNode('Squeeze', ['r', 'axes'], ['logits']),
    ],
    initializers: [integers('axes', [axis])],
  }),
)

export const reduceMean = fc
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

export const expand = fc.constantFrom<number[]>([1, 1, 6, 8], [6, 1], [3, 5], [2, 4, 1, 8]).map(shape =>
  graphStudent({
    nodes: [makeNode('GlobalAveragePool', ['x'], ['g']), makeNode('Expand', ['g', 'shape'], ['logits'])],
    initializers: [integers('shape', shape)],
  }),
)
