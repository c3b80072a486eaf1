import { UserError } from '@kestrel/runtime/errors'
import { createRng, type Rng } from '@kestrel/runtime/random'
import { type AttributeValue, makeNode } from './attributes.js'
import { type Colour, checkClassList, defaultPalette } from './classes.js'
import { makeModel, makeValueInfo } from './graph.js'
import { writeOnnx } from './onnx.js'
import type { NodeProto, TensorProto } from './proto/onnx_pb.js'
import { makeTensor } from './tensor.js'

export interface DeepLabOptions {
  classes: string[]
  palette?: Colour[]
  /** Pixels; the image size is fixed, the batch size is not. */
  width?: number
  height?: number
  /** Scales all channel counts of the backbone, rounded to multiples of 8. */
  widthMultiplier?: number
  /** Image size over the size of the backbone's features; without a decoder also over that of the logits. */
  outputStride?: 8 | 16 | 32
  /** DeepLabV3+: features of stride 4 sharpen the edges, and the logits have stride 4. */
  decoder?: boolean
  /** Seed of the He initialisation. */
  seed: number
  /** BatchNormalization after each convolution but the last; otherwise those have a bias instead. */
  batchNorm?: boolean
}

/** MobileNetV2, table 2 (arXiv 1801.04381): expansion t, channels c, repeats n, stride s of the first. */
const stages = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const

/** Channels of the head, for any width multiplier (arXiv 1706.05587). */
const HEAD_CHANNELS = 256

/** Channels of the fine features that join, as in DeepLabV3+ (arXiv 1802.02611, table 1), and of the decoder: half of theirs. */
const FINE_CHANNELS = 48
const DECODER_CHANNELS = 128

/** Stride of the features that the decoder joins. */
const FINE_STRIDE = 4

/**
 * DeepLabV3-MobileNetV2, in the form that the DeepLab authors publish for phones (`deeplabv3_mnv2`, and its TFLite conversion
 * deeplabv3_257_mv_gpu): MobileNetV2 without its last 1×1 convolution to 1280 channels, strides beyond the output stride turned
 * into dilation, and an ASPP of two branches only, image pooling and a 1×1 convolution. Input `image` float32 [N,3,H,W], RGB 0..255,
 * normalised to −1..1 inside the graph; output `logits` [N,C,⌈H/os⌉,⌈W/os⌉]. Operator set 17.
 *
 * 2.1 M parameters at width multiplier 1.
 */
export function buildDeepLab(options: DeepLabOptions): Uint8Array {
  const {
    classes,
    palette = defaultPalette(classes.length),
    width = 512,
    height = 256,
    widthMultiplier = 1,
    outputStride = 16,
    decoder = false,
    seed,
    batchNorm = true,
  } = options
  checkClassList({ classes, palette }, 'The new student')
  checkSizes(width, height, widthMultiplier)
  const builder = new Builder(createRng(`${seed}/deeplab`), batchNorm)
  const { coarse, fine } = backbone(builder, { width, height, widthMultiplier, outputStride })
  const seen = aspp(builder, coarse)
  const features = decoder ? sharpen(builder, seen, fine) : seen
  builder.conv('logits', features, { channels: classes.length, kernel: 1, last: true })
  const model = makeModel({
    name: 'deeplabv3-mobilenetv2',
    nodes: builder.nodes,
    initializers: builder.initializers,
    inputs: [makeValueInfo('image', ['N', 3, height, width])],
    outputs: [makeValueInfo('logits', ['N', classes.length, features.height, features.width])],
    metadata: {
      'kestrel.classes': JSON.stringify(classes),
      'kestrel.palette': JSON.stringify(palette),
      'kestrel.provenance':
        `DeepLabV3${decoder ? '+' : ''}-MobileNetV2 x${widthMultiplier}, output stride ${outputStride}, ` +
        `${batchNorm ? 'BatchNorm' : 'no BatchNorm'}, He-initialised from seed ${seed}, untrained`,
    },
  })
  return writeOnnx(model)
}

function checkSizes(width: number, height: number, widthMultiplier: number): void {
  for (const size of [width, height]) {
    if (!Number.isInteger(size) || size < 32 || size > 8192) {
      throw new UserError(`A student's image is 32 to 8192 pixels wide and high; found ${width}x${height}`)
    }
  }
  if (!(widthMultiplier >= 0.1 && widthMultiplier <= 4)) {
    throw new UserError(`The width multiplier is from 0.1 to 4; found ${widthMultiplier}`)
  }
}

interface Features {
  name: string
  channels: number
  height: number
  width: number
}

function backbone(
  builder: Builder,
  options: { width: number; height: number; widthMultiplier: number; outputStride: number },
): { coarse: Features; fine: Features } {
  const { widthMultiplier, outputStride } = options
  const half = builder.constant('half_range', [], [127.5])
  const one = builder.constant('one', [], [1])
  builder.add('Div', ['image', half], 'scaled')
  builder.add('Sub', ['scaled', one], 'normalised')
  let at: Features = { name: 'normalised', channels: 3, height: options.height, width: options.width }
  at = builder.conv('stem', at, { channels: toEight(32 * widthMultiplier), kernel: 3, stride: 2, relu: 6 })
  let stride = 2
  let dilation = 1
  let block = 0
  let fine = at
  for (const [expansion, stageChannels, repeats, firstStride] of stages) {
    const channels = toEight(stageChannels * widthMultiplier)
    for (let i = 0; i < repeats; i++, block++) {
      const wanted = i === 0 ? firstStride : 1
      // A stride that would pass the output stride becomes dilation, from the next block on (as in DeepLab's own code).
      const taken = stride * wanted > outputStride ? 1 : wanted
      at = bottleneck(builder, `block${block}`, at, { expansion, channels, stride: taken, dilation })
      stride *= taken
      if (taken < wanted) dilation *= wanted
      if (stride === FINE_STRIDE) fine = at
    }
  }
  return { coarse: at, fine }
}

function bottleneck(
  builder: Builder,
  name: string,
  input: Features,
  options: { expansion: number; channels: number; stride: number; dilation: number },
): Features {
  const { expansion, channels, stride, dilation } = options
  const hidden = input.channels * expansion
  const expanded =
    expansion === 1 ? input : builder.conv(`${name}.expand`, input, { channels: hidden, kernel: 1, relu: 6 })
  const filtered = builder.conv(`${name}.depthwise`, expanded, {
    channels: hidden,
    kernel: 3,
    stride,
    dilation,
    group: hidden,
    relu: 6,
  })
  const projected = builder.conv(`${name}.project`, filtered, { channels, kernel: 1 })
  if (stride !== 1 || channels !== input.channels) return projected
  return { ...projected, name: builder.add('Add', [input.name, projected.name], `${name}.sum`) }
}

function aspp(builder: Builder, features: Features): Features {
  const { height, width } = features
  const pooled = builder.add('GlobalAveragePool', [features.name], 'pool.average')
  const one = { ...features, name: pooled, height: 1, width: 1 }
  const image = builder.conv('pool', one, { channels: HEAD_CHANNELS, kernel: 1, relu: true })
  const shape = builder.shape('pool.shape', [1, 1, height, width])
  const spread = builder.add('Expand', [image.name, shape], 'pool.spread')
  const local = builder.conv('aspp', features, { channels: HEAD_CHANNELS, kernel: 1, relu: true })
  const joined = builder.add('Concat', [spread, local.name], 'aspp.concat', { axis: 1 })
  const both = { name: joined, channels: 2 * HEAD_CHANNELS, height, width }
  return builder.conv('projection', both, { channels: HEAD_CHANNELS, kernel: 1, relu: true })
}

function sharpen(builder: Builder, seen: Features, fine: Features): Features {
  const { height, width } = fine
  // Narrowed before it is resized: the same function as after, at a sixteenth of the cost.
  const narrow = builder.conv('decoder.seen', seen, { channels: DECODER_CHANNELS, kernel: 1, relu: true })
  const enlarged = builder.enlarge('decoder.enlarged', narrow, { height, width })
  const edges = builder.conv('decoder.fine', fine, { channels: FINE_CHANNELS, kernel: 1, relu: true })
  const joined = builder.add('Concat', [enlarged, edges.name], 'decoder.concat', { axis: 1 })
  let at: Features = { ...fine, name: joined, channels: DECODER_CHANNELS + FINE_CHANNELS }
  for (const name of ['decoder.refine0', 'decoder.refine1']) {
    at = builder.conv(`${name}.depthwise`, at, {
      channels: at.channels,
      kernel: 3,
      group: at.channels,
      relu: true,
    })
    at = builder.conv(name, at, { channels: DECODER_CHANNELS, kernel: 1, relu: true })
  }
  return at
}

interface ConvOptions {
  channels: number
  kernel: 1 | 3
  stride?: number
  dilation?: number
  group?: number
  /** 6: ReLU6; true: ReLU. */
  relu?: 6 | boolean
  /** The classifier: with a bias, without BatchNormalization. */
  last?: boolean
}

/** Collects nodes and initializers. The output of the node `x` is called `x` too. */
class Builder {
  readonly nodes: NodeProto[] = []
  readonly initializers: TensorProto[] = []
  readonly #rng: Rng
  readonly #batchNorm: boolean

  constructor(rng: Rng, batchNorm: boolean) {
    this.#rng = rng
    this.#batchNorm = batchNorm
  }

  add(
    opType: string,
    inputs: string[],
    output: string,
    attributes: Record<string, AttributeValue> = {},
  ): string {
    this.nodes.push(makeNode(opType, inputs, [output], attributes))
    return output
  }

  constant(name: string, dims: number[], values: ArrayLike<number>): string {
    this.initializers.push(makeTensor(name, dims, Float32Array.from(values)))
    return name
  }

  shape(name: string, dims: number[]): string {
    this.initializers.push(makeTensor(name, [dims.length], BigInt64Array.from(dims, BigInt)))
    return name
  }

  /** Bilinear, for any number of images: by scales, since sizes would fix the batch too. */
  enlarge(name: string, input: Features, { height, width }: { height: number; width: number }): string {
    const scales = [1, 1, scaleTo(height, input.height), scaleTo(width, input.width)]
    return this.add('Resize', [input.name, '', this.constant(`${name}.scales`, [4], scales)], name, {
      mode: 'linear',
      coordinate_transformation_mode: 'half_pixel',
    })
  }

  /** Convolution, then BatchNormalization or a bias, then the activation; padded so that only the stride shrinks. */
  conv(name: string, input: Features, options: ConvOptions): Features {
    const { channels, kernel, stride = 1, dilation = 1, group = 1, relu = false, last = false } = options
    const normalised = this.#batchNorm && !last
    const pad = kernel === 3 ? dilation : 0
    const inputs = [
      input.name,
      this.#weight(`${name}.weight`, channels, input.channels / group, kernel, relu),
    ]
    if (!normalised) inputs.push(this.constant(`${name}.bias`, [channels], new Float32Array(channels)))
    const output = normalised ? `${name}.conv` : relu ? `${name}.linear` : name
    this.add('Conv', inputs, output, {
      dilations: [dilation, dilation],
      group,
      kernel_shape: [kernel, kernel],
      pads: [pad, pad, pad, pad],
      strides: [stride, stride],
    })
    const linear = normalised
      ? this.#normalise(name, output, channels, relu ? `${name}.linear` : name)
      : output
    if (relu === true) this.add('Relu', [linear], name)
    if (relu === 6) this.add('Clip', [linear, this.#limit(0), this.#limit(6)], name)
    return {
      name,
      channels,
      height: Math.ceil(input.height / stride),
      width: Math.ceil(input.width / stride),
    }
  }

  #normalise(name: string, input: string, channels: number, output: string): string {
    const fill = (value: number) => new Float32Array(channels).fill(value)
    const inputs = [
      input,
      this.constant(`${name}.scale`, [channels], fill(1)),
      this.constant(`${name}.shift`, [channels], fill(0)),
      this.constant(`${name}.mean`, [channels], fill(0)),
      this.constant(`${name}.variance`, [channels], fill(1)),
    ]
    // MobileNet's ε, and a momentum that settles within a few hundred batches.
    return this.add('BatchNormalization', inputs, output, {
      epsilon: { float: 1e-3 },
      momentum: { float: 0.97 },
    })
  }

  /** He et al. (arXiv 1502.01852): variance 2/fan-in before a rectifier; 1/fan-in where none follows. */
  #weight(name: string, channels: number, perGroup: number, kernel: number, relu: 6 | boolean): string {
    const fanIn = perGroup * kernel * kernel
    const deviation = Math.sqrt((relu === false ? 1 : 2) / fanIn)
    const values = Float32Array.from({ length: channels * fanIn }, () => deviation * this.#rng.normal())
    return this.constant(name, [channels, perGroup, kernel, kernel], values)
  }

  #limit(value: number): string {
    const name = `limit${value}`
    if (!this.initializers.some(tensor => tensor.name === name)) this.constant(name, [], [value])
    return name
  }
}

/** The float32 scale that makes `to` pixels of `from`: ONNX rounds their product down. */
function scaleTo(to: number, from: number): number {
  const scale = Math.fround(to / from)
  return Math.floor(from * scale) === to ? scale : Math.fround((to + 1e-3) / from)
}

/** Rounds channels to a multiple of 8, never more than 10 % down (`_make_divisible` of the MobileNet authors). */
function toEight(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8)
  return rounded < 0.9 * channels ? rounded + 8 : rounded
}
