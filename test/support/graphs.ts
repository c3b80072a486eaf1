import {
  loadStudent,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  type NodeProto,
  type Student,
  type TensorProto,
  writeOnnx,
} from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'

export interface GraphOptions {
  /** Read `x`, [N,4,height,width], with values around 0; write `logits`, [N,classes,h,w]. */
  nodes: NodeProto[]
  initializers?: TensorProto[]
  height?: number
  width?: number
  classes?: number
  opset?: number
  batch?: 'N' | 1
}

/**
 * A student around a few nodes. What they read is a trainable 3×3 convolution of the image, so that gradients of the
 * parameters before and inside the nodes tell whether the nodes' own gradients are right.
 */
export function graphStudent(options: GraphOptions): Student {
  const { nodes, initializers = [], height = 6, width = 8, classes = 4, opset = 17, batch = 'N' } = options
  const model = makeModel({
    nodes: [
      makeNode('Sub', ['image', 'middle'], ['centred']),
      makeNode('Div', ['centred', 'spread'], ['scaled']),
      makeNode('Conv', ['scaled', 'mix.weight', 'mix.bias'], ['x'], { pads: [1, 1, 1, 1] }),
      ...nodes,
    ],
    initializers: [
      makeTensor('middle', [], Float32Array.of(127.5)),
      makeTensor('spread', [], Float32Array.of(64)),
      weights('mix.weight', [4, 3, 3, 3], 0.3),
      weights('mix.bias', [4], 0.3),
      ...initializers,
    ],
    inputs: [makeValueInfo('image', [batch, 3, height, width])],
    outputs: [makeValueInfo('logits', ['N', classes, 'h', 'w'])],
    opsets: { '': opset },
    metadata: { 'kestrel.classes': JSON.stringify(Array.from({ length: classes }, (_, i) => `class ${i}`)) },
  })
  const student = loadStudent(writeOnnx(model), { source: 'graph.onnx' })
  // What fast-check prints of a counterexample: the nodes, not a page of bytes.
  return Object.defineProperty(student, fc.toStringMethod, { value: () => nodes.map(describe).join('; ') })
}

function describe(node: NodeProto): string {
  const attributes = node.attribute.map(({ name, i, f, ints, s }) => {
    const text = new TextDecoder().decode(s)
    return `${name}=${ints.length > 0 ? `[${ints}]` : text !== '' ? text : f !== 0 ? f : i}`
  })
  return `${node.opType}(${[...node.input, ...attributes].join(', ')})`
}

/** A student of one node that keeps 4 channels; the node's first input is `x`, the others are `initializers` in order. */
export function operatorStudent(
  opType: string,
  options: Omit<GraphOptions, 'nodes'> & { attributes?: Parameters<typeof makeNode>[3] } = {},
): Student {
  const { attributes = {}, initializers = [] } = options
  const node = makeNode(opType, ['x', ...initializers.map(({ name }) => name)], ['logits'], attributes)
  return graphStudent({ ...options, nodes: [node] })
}

/** Normal values that depend on the name only. */
export function weights(name: string, dims: number[], deviation = 0.5, mean = 0): TensorProto {
  const rng = createRng(name)
  const count = dims.reduce((a, b) => a * b, 1)
  return makeTensor(
    name,
    dims,
    Float32Array.from({ length: count }, () => mean + deviation * rng.normal()),
  )
}

export function integers(name: string, values: number[]): TensorProto {
  return makeTensor(name, [values.length], BigInt64Array.from(values, BigInt))
}

export function scalar(name: string, value: number): TensorProto {
  return makeTensor(name, [], Float32Array.of(value))
}
