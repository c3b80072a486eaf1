import { makeNode, makeTensor, type NodeProto, readParameters } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { graphStudent, integers } from '../support/graphs.js'
import { runtimeLogits } from '../support/onnx-runtime.js'
import { operatorGraphs } from '../support/operator-graphs.js'
import { interpret } from '../support/tfjs.js'
import { sizedConvTranspose } from '../support/window-graphs.js'

t.setTimeout(180_000)

const BATCH = 2

/** Operators with many combinations of attributes get more graphs. */
const many = [
  'Conv',
  'ConvTranspose',
  'sizedConvTranspose',
  'AveragePool',
  'MaxPool',
  'Resize',
  'Slice',
  'Pad',
]

for (const [operator, graphs] of Object.entries({ ...operatorGraphs, sizedConvTranspose })) {
  t.test(`${operator} computes what ONNX Runtime computes`, async t => {
    await fc.assert(
      fc.asyncProperty(graphs, fc.nat(), async (student, seed) => {
        const rng = createRng(seed)
        const { height, width } = student.input
        const image = Float32Array.from({ length: BATCH * 3 * height * width }, () => rng.int(256))
        const expected = await runtimeLogits(student, student.bytes, image)
        const found = interpret(student, image, BATCH, readParameters(student))
        if (found.dims.join() !== expected.dims.join()) {
          throw new Error(`shape ${found.dims} instead of ${expected.dims}`)
        }
        const scale = Math.max(1, ...expected.data.map(Math.abs))
        for (const [i, value] of expected.data.entries()) {
          if (!(Math.abs(found.data[i] - value) <= 2e-6 * scale)) {
            throw new Error(`value ${i} is ${found.data[i]} instead of ${value}`)
          }
        }
      }),
      { numRuns: many.includes(operator) ? 60 : 10, seed: 7 },
    )
    t.pass('the same logits')
  })
}

/** Operators of shape arithmetic: nodes that turn `dims` = [N,4,6,8], `a` = [7,-3,5,2] and `b` = [2,2,-3,5] into `r`. */
const arithmetic: Record<string, NodeProto[]> = {
  Add: [makeNode('Add', ['a', 'b'], ['r'])],
  Div: [makeNode('Div', ['a', 'b'], ['r'])],
  Mod: [makeNode('Mod', ['a', 'b'], ['r'])],
  Neg: [makeNode('Neg', ['a'], ['r'])],
  Max: [makeNode('Max', ['a', 'b', 'dims'], ['r'])],
  Min: [makeNode('Min', ['a', 'b', 'dims'], ['r'])],
  Clip: [makeNode('Clip', ['a', 'two', 'five'], ['r'])],
  'Greater, Not': [makeNode('Greater', ['a', 'b'], ['g']), makeNode('Not', ['g'], ['r'])],
  'Less, Equal, Or': [
    makeNode('Less', ['a', 'b'], ['l']),
    makeNode('Equal', ['a', 'five'], ['e']),
    makeNode('Or', ['l', 'e'], ['r']),
  ],
  'And, Where': [
    makeNode('Greater', ['a', 'b'], ['g']),
    makeNode('Less', ['a', 'dims'], ['l']),
    makeNode('And', ['g', 'l'], ['both']),
    makeNode('Where', ['both', 'a', 'two'], ['r']),
  ],
  'Ceil of a quotient': [
    makeNode('Cast', ['a'], ['x.a'], { to: 1 }),
    makeNode('Cast', ['b'], ['x.b'], { to: 1 }),
    makeNode('Div', ['x.a', 'x.b'], ['q']),
    makeNode('Ceil', ['q'], ['c']),
    makeNode('Cast', ['c'], ['r'], { to: 7 }),
  ],
  'Range, ReduceSum': [
    makeNode('Range', ['two', 'eleven', 'two'], ['range']),
    makeNode('ReduceSum', ['a'], ['sum']),
    makeNode('Mul', ['range', 'sum'], ['rs']),
    makeNode('Slice', ['rs', 'zeros', 'fours'], ['r']),
  ],
  'Size, ReduceProd': [
    makeNode('Size', ['a'], ['size']),
    makeNode('ReduceProd', ['b'], ['product'], { keepdims: 0 }),
    makeNode('Add', ['size', 'product'], ['sp']),
    makeNode('Mul', ['sp', 'dims'], ['r']),
  ],
  'part of Shape, Concat': [
    makeNode('Shape', ['x'], ['some'], { start: 1, end: -1 }),
    makeNode('Concat', ['some', 'some'], ['r'], { axis: 0 }),
  ],
  'ConstantOfShape, Constant': [
    makeNode('ConstantOfShape', ['fours'], ['filled'], {
      value: makeTensor('seven', [1], BigInt64Array.of(7n)),
    }),
    makeNode('Constant', [], ['ints'], { value_ints: [1, 2, 3, 4] }),
    makeNode('Constant', [], ['int'], { value_int: 3 }),
    makeNode('Mul', ['ints', 'int'], ['times']),
    makeNode('Add', ['filled', 'times'], ['r']),
  ],
  'Gather from the end': [makeNode('Gather', ['dims', 'order'], ['r'])],
}

for (const [name, nodes] of Object.entries(arithmetic)) {
  t.test(`Shape arithmetic: ${name}`, async t => {
    const int = (label: string, value: number) => makeTensor(label, [], BigInt64Array.of(BigInt(value)))
    const student = graphStudent({
      nodes: [
        makeNode('Shape', ['x'], ['dims']),
        ...nodes,
        makeNode('Cast', ['r'], ['floats'], { to: 1 }),
        makeNode('Reshape', ['floats', 'column'], ['rows']),
        makeNode('ReduceMean', ['x'], ['mean'], { axes: [1, 2, 3] }),
        makeNode('Add', ['mean', 'rows'], ['logits']),
      ],
      initializers: [
        integers('a', [7, -3, 5, 2]),
        integers('b', [2, 2, -3, 5]),
        integers('zeros', [0]),
        integers('fours', [4]),
        integers('order', [-1, 0, 2, -3]),
        integers('column', [1, 4, 1, 1]),
        ...[int('two', 2), int('five', 5), int('eleven', 11)],
      ],
    })
    const image = new Float32Array(BATCH * 3 * student.input.height * student.input.width).fill(100)
    const expected = await runtimeLogits(student, student.bytes, image)
    const found = interpret(student, image, BATCH, readParameters(student))
    t.same(found.dims, expected.dims)
    t.ok(
      expected.data.every((value, i) => Math.abs(found.data[i] - value) < 1e-4),
      `${[...found.data]} is ${[...expected.data]}`,
    )
  })
}
