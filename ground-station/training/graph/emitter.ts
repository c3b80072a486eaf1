import { type AttributeValue, makeNode, makeTensor, type NodeProto, type TensorProto } from '@kestrel/models'

/** What the execution provider offers beyond the standard operators. */
export interface Dialect {
  /** com.microsoft FusedMatMul: a matrix product that transposes as it reads. */
  fusedMatMul: boolean
  /** Channels in a block of ONNX Runtime's blocked CPU layout; 0 where there is none. */
  block: number
}

/** Names that the training graph adds start with this. */
const PREFIX = 'kestrel/'

/** An ONNX graph that is being written. Values are known by name, and every value's shape is known. */
export class Emitter {
  readonly nodes: NodeProto[] = []
  readonly initializers: TensorProto[] = []
  readonly opset: number
  readonly dialect: Dialect
  readonly #shapes = new Map<string, number[]>()
  readonly #constants = new Map<string, number[]>()
  readonly #memo = new Map<string, string>()
  #active = new Set<string>()

  constructor(opset: number, dialect: Dialect) {
    this.opset = opset
    this.dialect = dialect
  }

  /** The shape of a value. */
  shapeOf(name: string): number[] {
    const dims = this.#shapes.get(name)
    if (dims === undefined) throw new Error(`The shape of "${name}" is not known`)
    return dims
  }

  /** Tells the shape of a value that something else makes: an input, a node of the student. */
  declare(name: string, dims: number[]): void {
    this.#shapes.set(name, dims)
  }

  /** The numbers in a value that does not depend on image or parameters (shapes, axes, bounds), if it is one. */
  constantOf(name: string): number[] | undefined {
    return this.#constants.get(name)
  }

  declareConstant(name: string, values: number[]): void {
    this.#constants.set(name, values)
  }

  /** Whether the loss depends on a parameter through this value: only these need a gradient. */
  wants(name: string | undefined): boolean {
    return name !== undefined && this.#active.has(name)
  }

  activate(names: Set<string>): void {
    this.#active = names
  }

  /**
   * Writes a node with one output.
   *
   * @param dims shape of the output
   * @returns the output's name
   */
  emit(
    opType: string,
    inputs: string[],
    dims: number[],
    attributes: Record<string, AttributeValue> = {},
    domain = '',
  ): string {
    const name = `${PREFIX}${opType}.${this.nodes.length}`
    const node = makeNode(opType, inputs, [name], attributes)
    node.domain = domain
    this.nodes.push(node)
    this.declare(name, dims)
    return name
  }

  /** Gives the output of the node that was written last another name. */
  rename(from: string, to: string): void {
    const node = this.nodes[this.nodes.length - 1]
    if (node.output[0] !== from) throw new Error(`"${from}" was not written last`)
    node.output[0] = to
    this.declare(to, this.shapeOf(from))
  }

  /** Copies a node of the student. */
  copy(node: NodeProto): void {
    this.nodes.push(node)
  }

  /** `make()`, once: a second call with the same key gives the same value. */
  once(key: string, make: () => string): string {
    const known = this.#memo.get(key)
    if (known !== undefined) return known
    const name = make()
    this.#memo.set(key, name)
    return name
  }

  /** A constant of float32. */
  floats(dims: number[], data: ArrayLike<number>): string {
    return this.#constant(dims, Float32Array.from(data), 'f')
  }

  scalar(value: number): string {
    return this.floats([], [value])
  }

  /** A constant vector of int64: axes, shapes, bounds of slices. */
  ints(values: number[]): string {
    return this.#constant([values.length], BigInt64Array.from(values, BigInt), 'i')
  }

  #constant(dims: number[], data: Float32Array | BigInt64Array, type: string): string {
    const make = () => {
      const name = `${PREFIX}constant.${this.initializers.length}`
      this.initializers.push(makeTensor(name, dims, data))
      this.declare(name, dims)
      return name
    }
    // Large ones (interpolation matrices) are not worth a key.
    return data.length > 64 ? make() : this.once(`${type}${dims}:${data}`, make)
  }
}
