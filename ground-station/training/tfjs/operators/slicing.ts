import { attribute, intAttribute, stringAttribute } from '@kestrel/models'
import type { Tensor } from '@tensorflow/tfjs-core'
import { axis, integers, numbers, type Operator } from '../operator.js'
import { crop, padAxes, pick } from './layout.js'

export const concat: Operator = ({ tf }, node, inputs) =>
  tf.concat(inputs as Tensor[], axis(intAttribute(node, 'axis', 1), inputs[0]!.rank))

export const split: Operator = ({ tf }, node, [x, sizes]) => {
  const at = axis(intAttribute(node, 'axis', 0), x!.rank)
  return tf.split(x!, integers(node, sizes, 'split') ?? evenly(x!.shape[at], node.output.length), at)
}

/** Equal parts; where that does not work out, the last is smaller. */
function evenly(size: number, parts: number): number[] {
  const each = Math.ceil(size / parts)
  return Array.from({ length: parts }, (_, i) => Math.min(each, size - i * each))
}

/** Slice with any step, backwards too. */
export const slice: Operator = ({ tf }, node, [x, startsInput, endsInput, axesInput, stepsInput]) => {
  const starts = integers(node, startsInput, 'starts')!
  const ends = integers(node, endsInput, 'ends')!
  const axes = integers(node, axesInput, 'axes') ?? starts.map((_, i) => i)
  const steps = stepsInput === undefined ? starts.map(() => 1) : numbers(stepsInput)
  let y = x!
  axes.forEach((given, i) => {
    const at = axis(given, y.rank)
    const indices = sliceIndices(starts[i], ends[i], steps[i], y.shape[at])
    if (steps[i] !== 1) {
      y = pick(tf, y, at, indices)
      return
    }
    const begin = y.shape.map((_, k) => (k === at ? (indices[0] ?? 0) : 0))
    const size = y.shape.map((size, k) => (k === at ? indices.length : size))
    y = crop(tf, y, begin, size)
  })
  return y
}

function sliceIndices(start: number, end: number, step: number, size: number): number[] {
  // The standard: negative values count from the end, then both are clamped to what the step's direction can reach.
  const clamp = (value: number, low: number, high: number) =>
    Math.max(low, Math.min(high, value < 0 ? value + size : value))
  const first = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1)
  const last = step > 0 ? clamp(end, 0, size) : clamp(end, -1, size - 1)
  const count = Math.max(0, Math.ceil((last - first) / step))
  return Array.from({ length: count }, (_, i) => first + i * step)
}

/** Pad: constant, edge, reflect or wrap; negative amounts crop. */
export const pad: Operator = ({ tf }, node, [x, padsInput, value, axesInput]) => {
  const given = integers(node, padsInput, 'pads')!
  const axes = axesInput === undefined ? x!.shape.map((_, i) => i) : numbers(axesInput)
  const mode = stringAttribute(node, 'mode', 'constant')
  const fill = value?.dataSync()[0] ?? attribute(node, 'value')?.f ?? 0
  const amounts = x!.shape.map((_, k): [number, number] => {
    const i = axes.findIndex(at => axis(at, x!.rank) === k)
    return i === -1 ? [0, 0] : [given[i], given[i + axes.length]]
  })
  if (mode === 'constant') return padAxes(tf, x!, amounts, fill)
  return amounts.reduce((y, [before, after], k) => {
    if (before === 0 && after === 0) return y
    return pick(tf, y, k, padIndices(mode, y.shape[k], before, after))
  }, x!)
}

/** Where each element of a padded axis comes from. */
function padIndices(mode: string, size: number, before: number, after: number): number[] {
  const source: Record<string, (i: number) => number> = {
    edge: i => Math.max(0, Math.min(size - 1, i)),
    reflect: i => mirror(i, size),
    wrap: i => ((i % size) + size) % size,
  }
  if (!(mode in source))
    throw new Error(`it pads by "${mode}"; known are constant, ${Object.keys(source).join(', ')}`)
  return Array.from({ length: Math.max(0, size + before + after) }, (_, i) => source[mode](i - before))
}

/** Reflection without repeating the edge: …2 1 | 0 1 2 3 | 2 1… */
function mirror(i: number, size: number): number {
  const period = Math.max(1, 2 * (size - 1))
  const at = ((i % period) + period) % period
  return at < size ? at : period - at
}

export const gather: Operator = ({ tf }, node, [x, indices]) => {
  const at = axis(intAttribute(node, 'axis', 0), x!.rank)
  const positive = numbers(indices!).map(index => axis(index, x!.shape[at]))
  return tf.gather(x!, tf.tensor(positive, indices!.shape, 'int32'), at)
}
