import { type NodeProto, nodeLabel, type Student } from '@kestrel/models'
import { messageOf, UserError } from '@kestrel/runtime'
import type { Tensor } from '@tensorflow/tfjs-core'
import type { Context, Operator } from './operator.js'
import { operators } from './operators/table.js'
import type { Tf } from './tensorflow.js'
import { fromProto } from './values.js'

interface Step {
  node: NodeProto
  label: string
  compute: Operator
}

/** A student's graph, run node by node in TensorFlow.js. */
export class Interpreter {
  readonly #student: Student
  readonly #steps: Step[]
  readonly #constants: Map<string, Tensor>
  readonly #context: Context

  /** @throws UserError where the graph holds an operator that is not known */
  constructor(
    student: Student,
    options: { tf: Tf; batchNorm: Context['batchNorm']; observe: Context['observe'] },
  ) {
    const opset = student.proto.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')
    this.#student = student
    this.#context = { ...options, opset: Number(opset?.version ?? 17) }
    this.#steps = neededNodes(student).map(step => ({
      ...step,
      compute: operatorOf(step.node, step.label, student),
    }))
    this.#constants = constants(student, options.tf)
  }

  /**
   * The logits, [N,C,h,w]. Call within `tf.tidy`.
   *
   * @param image [N,3,H,W]
   * @param parameters by name
   * @throws UserError that names the node which cannot be computed
   */
  logits(image: Tensor, parameters: Map<string, Tensor>): Tensor {
    const { tf } = this.#context
    const { input, output, source } = this.#student
    const values = new Map([...this.#constants, ...parameters, [input.name, image]])
    for (const { node, label, compute } of this.#steps) {
      const inputs = node.input.map(name => (name === '' ? undefined : values.get(name)))
      try {
        const found = tf.tidy(() => compute(this.#context, node, inputs))
        const outputs = Array.isArray(found) ? found : [found]
        for (const [i, tensor] of outputs.entries()) values.set(node.output[i], tensor)
      } catch (cause) {
        throw new UserError(
          `${source}: node "${label}" (${node.opType}) cannot be computed in TensorFlow.js: ${messageOf(cause)}`,
          { cause },
        )
      }
    }
    return values.get(output.name)!
  }

  dispose(): void {
    for (const tensor of this.#constants.values()) tensor.dispose()
    this.#constants.clear()
  }
}

/** The nodes that the logits depend on, in order. */
function neededNodes(student: Student): { node: NodeProto; label: string }[] {
  const needed = new Set([student.output.name])
  const nodes = student.proto.graph!.node.map((node, index) => ({ node, label: nodeLabel(node, index) }))
  return nodes
    .reverse()
    .filter(({ node }) => {
      if (!node.output.some(name => needed.has(name))) return false
      for (const name of node.input) if (name !== '') needed.add(name)
      return true
    })
    .reverse()
}

function operatorOf(node: NodeProto, label: string, student: Student): Operator {
  const standard = node.domain === '' || node.domain === 'ai.onnx'
  const found = standard && Object.hasOwn(operators, node.opType) ? operators[node.opType] : undefined
  if (found !== undefined) return found
  const name = standard ? node.opType : `${node.domain}.${node.opType}`
  throw new UserError(
    `${student.source}: node "${label}" is the operator ${name}, which the TensorFlow.js engine does not know; ` +
      'export the student without it, or train with the ONNX engine',
  )
}

/** All initializers that are no parameters. */
function constants(student: Student, tf: Tf): Map<string, Tensor> {
  const parameters = new Set(student.parameters.map(({ name }) => name))
  const fixed = student.proto.graph!.initializer.filter(({ name }) => !parameters.has(name))
  return new Map(fixed.map(proto => [proto.name, fromProto(tf, proto)]))
}
