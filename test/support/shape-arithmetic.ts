import { makeNode, makeTensor, type NodeProto, type TensorProto } from '@kestrel/models'
import fc from 'fast-check'
import { graphStudent, integers, weights } from './graphs.js'

/** The way exporters write "twice as large, then back to where it was": shapes that the graph works out itself. */
export const shapeArithmetic = fc.constantFrom('floor', 'where', 'constant').map(kind => {
  const nodes: NodeProto[] = [
    makeNode('Shape', ['x'], ['dims']),
    makeNode('Gather', ['dims', 'two'], ['height']),
    makeNode('Gather', ['dims', 'minusOne'], ['width']),
  ]
  const initializers: TensorProto[] = [
    makeTensor('two', [], BigInt64Array.of(2n)),
    makeTensor('minusOne', [], BigInt64Array.of(-1n)),
    integers('zero', [0]),
  ]
  if (kind === 'floor') {
    nodes.push(
      makeNode('Constant', [], ['factor'], { value_float: { float: 1.5 } }),
      makeNode('Cast', ['height'], ['h.float'], { to: 1 }),
      makeNode('Mul', ['h.float', 'factor'], ['h.scaled']),
      makeNode('Floor', ['h.scaled'], ['h.floor']),
      makeNode('Cast', ['h.floor'], ['h.int'], { to: 7 }),
      makeNode('Unsqueeze', ['h.int', 'zero'], ['h']),
      makeNode('Unsqueeze', ['width', 'zero'], ['w']),
      makeNode('Slice', ['dims', 'zero', 'twoList'], ['nc']),
      makeNode('Concat', ['nc', 'h', 'w'], ['sizes'], { axis: 0 }),
      makeNode('Resize', ['x', '', '', 'sizes'], ['logits'], { mode: 'linear' }),
    )
    initializers.push(integers('twoList', [2]))
  } else if (kind === 'where') {
    nodes.push(
      makeNode('GlobalAveragePool', ['x'], ['g']),
      makeNode('Unsqueeze', ['height', 'zero'], ['h']),
      makeNode('Unsqueeze', ['width', 'zero'], ['w']),
      makeNode('Concat', ['minusOnes', 'h', 'w'], ['wanted'], { axis: 0 }),
      makeNode('Shape', ['wanted'], ['rank']),
      makeNode('ConstantOfShape', ['rank'], ['ones'], {
        value: makeTensor('one', [1], BigInt64Array.of(1n)),
      }),
      makeNode('Mul', ['ones', 'minusOne'], ['minus']),
      makeNode('Equal', ['wanted', 'minus'], ['is']),
      makeNode('Where', ['is', 'ones', 'wanted'], ['shape']),
      makeNode('Expand', ['g', 'shape'], ['logits']),
    )
    initializers.push(integers('minusOnes', [-1, -1]))
  } else {
    nodes.push(
      makeNode('Sub', ['width', 'height'], ['wider']),
      makeNode('Div', ['wider', 'two'], ['each']),
      makeNode('Unsqueeze', ['each', 'zero'], ['e']),
      makeNode('Concat', ['three', 'e', 'three', 'e'], ['pads'], { axis: 0 }),
      makeNode('Pad', ['x', 'pads'], ['padded']),
      makeNode('Constant', [], ['gain'], { value: weights('gain', [4, 1, 1], 0.2, 1) }),
      makeNode('Mul', ['padded', 'gain'], ['logits']),
    )
    initializers.push(integers('three', [0, 0, 0]))
  }
  return graphStudent({ nodes, initializers })
})
