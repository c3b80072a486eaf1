import {
  type AttributeValue,
  attribute,
  floatAttribute,
  type GraphProto,
  intAttribute,
  intsAttribute,
  makeNode,
  makeTensor,
  type NodeProto,
  stringAttribute,
  type TensorProto,
} from '@kestrel/models'

/** The operator set whose definitions the gradient rules follow; newer ones differ in nothing that matters here. */
export const OPSET = 13

/** The oldest operator set that ONNX Runtime reads. */
export const OLDEST_OPSET = 7

/** What became an input: [attribute, position among the inputs, whether it is a float], as of operator set 13. */
const moved: Record<string, [name: string, input: number, kind: 'ints' | 'float'][]> = {
  Clip: [
    ['min', 1, 'float'],
    ['max', 2, 'float'],
  ],
  Dropout: [['ratio', 1, 'float']],
  Pad: [
    ['pads', 1, 'ints'],
    ['value', 2, 'float'],
  ],
  ReduceSum: [['axes', 1, 'ints']],
  Slice: [
    ['starts', 1, 'ints'],
    ['ends', 2, 'ints'],
    ['axes', 3, 'ints'],
  ],
  Split: [['split', 1, 'ints']],
  Squeeze: [['axes', 1, 'ints']],
  Unsqueeze: [['axes', 1, 'ints']],
}

/**
 * Brings a graph of operator sets 7 to 12 to set 13, where what used to be attributes became inputs (Clip's bounds, Pad's
 * sizes, axes …): so that gradient rules and the nodes that they write know one form only.
 */
export function upgradeGraph(graph: GraphProto, opset: number): GraphProto {
  if (opset >= OPSET) return graph
  const added: TensorProto[] = []
  const constant = (name: string, dims: number[], data: Float32Array | BigInt64Array) => {
    added.push(makeTensor(name, dims, data))
    return name
  }
  const node = graph.node.flatMap((old, index) => {
    if (old.opType === 'Softmax') return softmax(old)
    if ((old.opType === 'Upsample' || old.opType === 'Resize') && opset < 11) return resize(old, constant)
    const moves = (moved[old.opType] ?? []).filter(([name]) => attribute(old, name) !== undefined)
    if (moves.length === 0) return old
    const inputs = [...old.input]
    for (const [name, input, kind] of moves) {
      while (inputs.length <= input) inputs.push('')
      const ints = kind === 'ints' ? BigInt64Array.from(intsAttribute(old, name, []), BigInt) : undefined
      inputs[input] = constant(
        `kestrel/upgrade.${index}.${name}`,
        ints ? [ints.length] : [],
        ints ?? Float32Array.of(floatAttribute(old, name, 0)),
      )
    }
    return rewritten(old, old.opType, inputs, new Set(moves.map(([name]) => name)))
  })
  return { ...graph, node, initializer: [...graph.initializer, ...added] }
}

function rewritten(
  old: NodeProto,
  opType: string,
  inputs: string[],
  without: Set<string>,
  attributes: Record<string, AttributeValue> = {},
): NodeProto {
  const node = makeNode(opType, inputs, old.output, attributes, old.name)
  node.attribute.push(...old.attribute.filter(({ name }) => !without.has(name)))
  return node
}

/** Before set 13 Softmax took all axes from `axis` on together. */
function softmax(old: NodeProto): NodeProto[] {
  const [x] = old.input
  const [y] = old.output
  const at = (part: string) => `kestrel/upgrade.${y}.${part}`
  return [
    makeNode('Flatten', [x], [at('flat')], { axis: intAttribute(old, 'axis', 1) }),
    makeNode('Softmax', [at('flat')], [at('softmax')], { axis: -1 }),
    makeNode('Shape', [x], [at('shape')]),
    makeNode('Reshape', [at('softmax'), at('shape')], [y], {}, old.name),
  ]
}

/** Set 10's Resize, and Upsample before it, took scales and knew one coordinate mode. */
function resize(
  old: NodeProto,
  constant: (name: string, dims: number[], data: Float32Array) => string,
): NodeProto {
  const [x, given] = old.input
  const values = attribute(old, 'scales')?.floats
  const scales = values
    ? constant(`kestrel/upgrade.${old.output[0]}.scales`, [values.length], Float32Array.from(values))
    : given
  return rewritten(old, 'Resize', [x, '', scales], new Set(['scales', 'mode']), {
    mode: stringAttribute(old, 'mode', 'nearest').replace('bilinear', 'linear'),
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  })
}
