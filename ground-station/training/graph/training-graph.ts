import {
  TensorProto_DataType as DataType,
  type GraphProto,
  type ModelProto,
  makeModel,
  makeValueInfo,
  type NodeProto,
  nodeLabel,
  type Student,
  tensorNumbers,
  tensorShape,
} from '@kestrel/models'
import { messageOf, UserError } from '@kestrel/runtime'
import { add } from '../gradients/algebra.js'
import { operators } from '../gradients/table.js'
import { lossHead } from '../loss/head.js'
import { BLOCKED_DOMAIN } from './blocked.js'
import { type Dialect, Emitter } from './emitter.js'
import { foldBatchNorm } from './fold-batch-norm.js'
import { dependents, probe } from './probe.js'
import { OLDEST_OPSET, OPSET, upgradeGraph } from './upgrade.js'

/** Inputs and outputs that the training graph has besides the parameters, which keep their names. */
export const names = {
  image: 'kestrel/image',
  target: 'kestrel/target',
  weight: 'kestrel/weight',
  loss: 'kestrel/loss',
  gradient: (index: number) => `kestrel/gradient.${index}`,
}

export interface TrainingGraph {
  model: ModelProto
  /** Shape of the logits, [B,C,h,w]. */
  logits: number[]
  /** Positions, among the student's parameters, of those that the loss depends on; each has a gradient output. */
  trained: number[]
  /** Outputs with batch statistics, by the name of the initializer that holds the running value. */
  statistics: Map<string, string>
}

export interface TrainingGraphOptions {
  /** Images that go through at once. */
  batch: number
  labelHeight: number
  labelWidth: number
  batchNorm: 'frozen' | 'batch'
  dialect: Dialect
}

/**
 * Turns a student into a graph that computes the loss and its gradient. Inputs: `names.image` uint8 [B,3,H,W], the
 * loss's `names.target` and `names.weight` (loss/targets.ts), and one input a parameter. Outputs: `names.loss` and one
 * `names.gradient(i)` a parameter that matters.
 *
 * The backward nodes follow in the reverse order of the forward ones, so that activations die as early as they can.
 *
 * @throws UserError where the student has an operator without a gradient rule, or does not run on a batch of this size
 */
export async function buildTrainingGraph(
  student: Student,
  options: TrainingGraphOptions,
): Promise<TrainingGraph> {
  const { batch, batchNorm, dialect } = options
  const { opsets, folded, parameters, changing, nodes, active } = analyse(student, batchNorm)
  const { name: image, height, width } = student.input
  const input = { name: image, dims: [batch, 3, height, width] }
  const probed = await probe(folded, opsets, input, changing).catch(cause => {
    throw new UserError(`${student.source} does not run on a batch of ${batch}: ${messageOf(cause)}`, {
      cause,
    })
  })

  const graph = new Emitter(opsets[''], dialect)
  for (const [name, dims] of probed.shapes) graph.declare(name, dims)
  graph.declare(image, input.dims)
  for (const { name, dims } of student.parameters) graph.declare(name, dims)
  const constants = [
    ...folded.initializer.filter(({ name }) => !parameters.has(name)),
    ...probed.constants.values(),
  ]
  for (const tensor of constants) {
    const { dims, count } = tensorShape(tensor)
    graph.declare(tensor.name, dims)
    if (count <= 4096) graph.declareConstant(tensor.name, tensorNumbers(tensor))
  }

  graph.activate(active)
  graph.rename(graph.emit('Cast', [names.image], input.dims, { to: DataType.FLOAT }), image)
  const statistics = new Map<string, string>()
  for (const node of nodes) {
    const operator = active.has(node.output[0]) ? operators[node.opType] : undefined
    if (operator?.forward) operator.forward(node, graph)
    else graph.copy(node)
    for (const [running, output] of operator?.statistics?.(node, graph) ?? []) statistics.set(running, output)
  }
  const logits = graph.shapeOf(student.output.name)
  const head = lossHead(graph, {
    ...options,
    logits: student.output.name,
    target: names.target,
    weight: names.weight,
  })

  const gradients = new Map([[student.output.name, head.gradient]])
  for (const node of nodes.filter(node => isActive(node, active)).toReversed()) {
    const outputGradients = node.output.map(name => gradients.get(name))
    for (const name of node.output) if (!parameters.has(name)) gradients.delete(name)
    if (outputGradients.every(gradient => gradient === undefined)) continue
    const inputGradients = operators[node.opType].backward(node, graph, outputGradients)
    for (const [i, name] of node.input.entries()) {
      const gradient = inputGradients[i]
      if (gradient === undefined || !active.has(name)) continue
      const other = gradients.get(name)
      gradients.set(name, other === undefined ? gradient : add(graph, other, gradient))
    }
  }

  const reached = [...student.parameters.keys()].filter(i => gradients.has(student.parameters[i].name))
  const identity = (from: string, to: string) => {
    graph.rename(graph.emit('Identity', [from], graph.shapeOf(from)), to)
    return makeValueInfo(to, graph.shapeOf(from))
  }
  const { labelHeight, labelWidth } = options
  const model = makeModel({
    name: 'training',
    nodes: graph.nodes,
    initializers: [...usedBy(graph.nodes, constants), ...graph.initializers],
    inputs: [
      makeValueInfo(names.image, input.dims, DataType.UINT8),
      makeValueInfo(names.target, logits),
      makeValueInfo(names.weight, [batch, 1, labelHeight, labelWidth]),
      ...student.parameters.map(({ name, dims }) => makeValueInfo(name, dims)),
    ],
    outputs: [
      identity(head.loss, names.loss),
      ...reached.map(i => identity(gradients.get(student.parameters[i].name)!, names.gradient(i))),
      ...[...statistics.values()].map(name => makeValueInfo(name, graph.shapeOf(name))),
    ],
    opsets: { ...opsets, 'com.microsoft': 1, [BLOCKED_DOMAIN]: 1 },
  })
  return { model, logits, trained: reached, statistics }
}

interface Analysis {
  opsets: Record<string, number>
  /** The student's graph, its frozen BatchNormalizations folded. */
  folded: GraphProto
  parameters: Set<string>
  /** Values that depend on the image or a parameter. */
  changing: Set<string>
  /** The nodes that have to be computed at each step, in order. */
  nodes: NodeProto[]
  /** Values that depend on a parameter. */
  active: Set<string>
}

/**
 * What in a student has to be computed, and what differentiated.
 *
 * @throws UserError where that cannot be done
 */
export function analyse(student: Student, batchNorm: 'frozen' | 'batch'): Analysis {
  const { proto, source } = student
  const opsets = Object.fromEntries(
    proto.opsetImport.map(({ domain, version }) => [domain === 'ai.onnx' ? '' : domain, Number(version)]),
  )
  const given = opsets['']
  if (!(given >= OLDEST_OPSET)) {
    throw new UserError(
      `${source} uses version ${given} of the ONNX operators; ${OLDEST_OPSET} is the oldest that is known: ` +
        'export it again with opset 17',
    )
  }
  const original = upgradeGraph(proto.graph!, given)
  opsets[''] = Math.max(given, OPSET)
  const folded = batchNorm === 'frozen' ? foldBatchNorm(original) : original
  const parameters = new Set(student.parameters.map(({ name }) => name))
  const changing = dependents(folded, new Set([student.input.name, ...parameters]))
  const nodes = needed(folded.node, student.output.name, changing)
  const active = dependents({ node: nodes }, parameters)
  for (const [index, node] of nodes.entries()) {
    if (isActive(node, active)) checkSupported(node, index, source)
  }
  return { opsets, folded, parameters, changing, nodes, active }
}

function isActive(node: NodeProto, active: Set<string>): boolean {
  return node.output.some(name => active.has(name))
}

/** The nodes that the output depends on and that have to be computed at each step, in order. */
function needed(nodes: NodeProto[], output: string, changing: Set<string>): NodeProto[] {
  const wanted = new Set([output])
  const kept: NodeProto[] = []
  for (const node of nodes.toReversed()) {
    if (!node.output.some(name => wanted.has(name)) || !changing.has(node.output[0])) continue
    kept.push(node)
    for (const name of node.input) wanted.add(name)
  }
  return kept.reverse()
}

function usedBy<T extends { name: string }>(nodes: NodeProto[], values: T[]): T[] {
  const used = new Set(nodes.flatMap(node => node.input))
  return values.filter(({ name }) => used.has(name))
}

function checkSupported(node: NodeProto, index: number, source: string): void {
  const standard = node.domain === '' || node.domain === 'ai.onnx'
  if (standard && Object.hasOwn(operators, node.opType)) return
  const operator = standard ? node.opType : `${node.domain}.${node.opType}`
  throw new UserError(
    `${source}: node "${nodeLabel(node, index)}" is a ${operator}, which cannot be trained through; ` +
      `supported: ${Object.keys(operators).sort().join(', ')}. Export the student without it`,
  )
}
