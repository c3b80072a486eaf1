import { makeNode, makeTensor } from '@kestrel/models'
import fc from 'fast-check'
import { graphStudent, integers, operatorStudent, weights } from './graphs.js'

/** Rows and columns of `x`, which the nodes under test read. */
const SIZE = [6, 8]

const flag = fc.boolean()
const small = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }))
const pads = (max: number) => fc.tuple(small(0, max), small(0, max)).map(pair => pair.flat())
const autoPad = fc.constantFrom('NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID')

const bias = (given: boolean, count: number) => (given ? [weights('bias', [count])] : [])

export const conv = fc
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

export const convTranspose = (targets: string[]) =>
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
        return Math.max(1, strides[i] * (SIZE[i] - 1) + reach + outputPadding[i] - less)
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

export const pooling = (opType: string) =>
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

export const resize = fc
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

/** The other ways to tell a ConvTranspose its size. */
export const sizedConvTranspose = convTranspose(['output_shape', 'SAME_UPPER', 'SAME_LOWER', 'VALID'])
