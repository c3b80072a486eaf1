import { reshape as to } from './algebra.js'
import type { GradientRule } from './rule.js'

/** The same elements in another shape (Reshape, Flatten, Squeeze, Unsqueeze): dx is dy in the shape of x. */
export const reshape: GradientRule = ({ input: [x] }, graph, [dy]) => [to(graph, dy!, graph.shapeOf(x))]
