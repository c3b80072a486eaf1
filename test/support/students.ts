import {
  type ModelProto,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  type NodeProto,
  type TensorProto,
} from '@kestrel/models'

export interface TinyOptions {
  classes?: string[] | null
  height?: number | string
  width?: number | string
  /** Extra metadata, or other values of it. */
  metadata?: Record<string, string>
}

/** Whole numbers in a pattern that repeats late: weights that tests can predict. */
export function pattern(count: number, seed = 0): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (((i + seed) * 37) % 101) / 101 - 0.5)
}

/**
 * A student of a few hundred parameters with every kind of them: Conv, BatchNormalization, PRelu, ConvTranspose. Input [N,3,8,12],
 * logits [N,classes,8,12].
 */
export function tinyModel(options: TinyOptions = {}): ModelProto {
  const { classes = ['sky', 'road', 'tree'], height = 8, width = 12, metadata = {} } = options
  const count = classes?.length ?? 3
  const initializers: TensorProto[] = [
    makeTensor('scale', [], Float32Array.of(1 / 255)),
    makeTensor('down.w', [4, 3, 3, 3], pattern(108)),
    makeTensor('down.b', [4], pattern(4, 1)),
    makeTensor('norm.scale', [4], Float32Array.of(1, 0.9, 1.1, 1.2)),
    makeTensor('norm.shift', [4], pattern(4, 2)),
    makeTensor('norm.mean', [4], pattern(4, 3)),
    makeTensor('norm.variance', [4], Float32Array.of(1, 2, 0.5, 1.5)),
    makeTensor('slope', [4, 1, 1], Float32Array.of(0.1, 0.2, 0.3, 0.4)),
    makeTensor('up.w', [4, 5, 2, 2], pattern(80, 4)),
    makeTensor('up.b', [5], pattern(5, 5)),
    makeTensor('head.w', [count, 5, 1, 1], pattern(5 * count, 6)),
  ]
  const nodes: NodeProto[] = [
    makeNode('Mul', ['image', 'scale'], ['scaled']),
    makeNode('Conv', ['scaled', 'down.w', 'down.b'], ['down'], {
      strides: [2, 2],
      pads: [1, 1, 1, 1],
      kernel_shape: [3, 3],
    }),
    makeNode(
      'BatchNormalization',
      ['down', 'norm.scale', 'norm.shift', 'norm.mean', 'norm.variance'],
      ['norm'],
      {
        epsilon: { float: 1e-3 },
      },
    ),
    makeNode('PRelu', ['norm', 'slope'], ['active']),
    makeNode('ConvTranspose', ['active', 'up.w', 'up.b'], ['up'], { strides: [2, 2], kernel_shape: [2, 2] }),
    makeNode('Conv', ['up', 'head.w'], ['logits'], { kernel_shape: [1, 1] }),
  ]
  return makeModel({
    nodes,
    initializers,
    inputs: [makeValueInfo('image', ['N', 3, height, width])],
    outputs: [makeValueInfo('logits', ['N', count, height, width])],
    metadata: { ...(classes === null ? {} : { 'kestrel.classes': JSON.stringify(classes) }), ...metadata },
  })
}
