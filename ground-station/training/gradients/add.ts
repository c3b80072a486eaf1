import { sumTo } from './algebra.js'
import type { GradientRule } from './rule.js'

/** y = a + b: da = dy, db = dy, each summed where it was broadcast. */
export const add: GradientRule = ({ input }, graph, [dy]) =>
  input.map(name => (graph.wants(name) ? sumTo(graph, dy!, graph.shapeOf(name)) : undefined))
